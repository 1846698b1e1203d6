//! The commonest words of standard input, or of the files named: `wordfreq [-n COUNT] [FILE]...`.
//! The environment variable WORDFREQ_MIN sets the least length of a word that counts.
const std = @import("std");
const Io = std.Io;

const Count = struct { word: []const u8, times: u32 };

fn commonerFirst(_: void, a: Count, b: Count) bool {
    if (a.times != b.times) return a.times > b.times;
    return std.mem.order(u8, a.word, b.word) == .lt;
}

pub fn main(init: std.process.Init) !void {
    const arena = init.arena.allocator();
    const io = init.io;
    const args = try init.minimal.args.toSlice(arena);

    const least = if (init.environ_map.get("WORDFREQ_MIN")) |text| try std.fmt.parseInt(usize, text, 10) else 1;
    var shown: usize = 5;
    var counts: std.StringHashMapUnmanaged(u32) = .empty;
    var files: usize = 0;

    var i: usize = 1;
    while (i < args.len) : (i += 1) {
        if (std.mem.eql(u8, args[i], "-n") and i + 1 < args.len) {
            i += 1;
            shown = try std.fmt.parseInt(usize, args[i], 10);
            continue;
        }
        files += 1;
        const text = try Io.Dir.cwd().readFileAlloc(io, args[i], arena, .unlimited);
        try countWords(arena, &counts, text, least);
    }
    if (files == 0) {
        var buffer: [4096]u8 = undefined;
        var reader = Io.File.stdin().reader(io, &buffer);
        try countWords(arena, &counts, try reader.interface.allocRemaining(arena, .unlimited), least);
    }

    var list: std.ArrayList(Count) = .empty;
    var it = counts.iterator();
    while (it.next()) |entry| try list.append(arena, .{ .word = entry.key_ptr.*, .times = entry.value_ptr.* });
    std.mem.sort(Count, list.items, {}, commonerFirst);

    var buffer: [1024]u8 = undefined;
    var writer = Io.File.stdout().writer(io, &buffer);
    const out = &writer.interface;
    try out.print("{d} different words\n", .{list.items.len});
    for (list.items[0..@min(shown, list.items.len)]) |count| try out.print("{d:>6} {s}\n", .{ count.times, count.word });
    try out.flush();
}

fn countWords(arena: std.mem.Allocator, counts: *std.StringHashMapUnmanaged(u32), text: []const u8, least: usize) !void {
    var words = std.mem.tokenizeAny(u8, text, " \t\r\n.,;:!?\"'()-");
    while (words.next()) |word| {
        if (word.len < least) continue;
        const lower = try std.ascii.allocLowerString(arena, word);
        const entry = try counts.getOrPutValue(arena, lower, 0);
        entry.value_ptr.* += 1;
    }
}
