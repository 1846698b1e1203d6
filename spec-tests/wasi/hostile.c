// What a hostile program does to the interface: hostile SECTION [NUMBER] prints what comes of it, a line each.
#include "preview1.h"

#define PAGE 65536u

static u8 buffer[65536];
static struct iovec iov = {buffer, sizeof buffer};
static u32 used;

static void line(const char *what, u32 error) {
  say(what);
  say(": ");
  say_errno(error);
  say("\n");
}

static void line_number(const char *what, u64 number) {
  say(what);
  say(": ");
  say_number(number);
  say("\n");
}

static u32 opened;

static u32 open_at(u32 dir, const char *path, u32 oflags, u64 rights, u32 fdflags) {
  return path_open(dir, FOLLOW, path, length(path), oflags, rights, rights, fdflags, &opened);
}

static u32 must_open(const char *path, u32 oflags, u64 rights) {
  u32 error = open_at(3, path, oflags, rights, 0);
  if (error) {
    line(path, error);
    proc_exit(97);
  }
  return opened;
}

// One past the last byte of the memory.
static u8 *end(void) { return (u8 *)(__builtin_wasm_memory_size(0) * PAGE); }

static void memory(void) {
  u32 file = must_open("file", 0, READ | WRITE | RIGHT(21) | RIGHT(2));
  line("iovecs at the last 4 bytes", fd_write(1, end() - 4, 1, &used));
  line("iovecs at 2^32-4", fd_write(1, (void *)-4, 1, &used));
  line("iovecs at 2^32-4, none of them", fd_write(1, (void *)-4, 0, &used));
  iov = (struct iovec){buffer, -1};
  line("write of 2^32-1 bytes", fd_write(1, &iov, 1, &used));
  line("read of 2^32-1 bytes", fd_read(file, &iov, 1, &used));
  line("pread of 2^32-1 bytes", fd_pread(file, &iov, 1, 0, &used));
  line("pwrite of 2^32-1 bytes", fd_pwrite(file, &iov, 1, 0, &used));
  iov = (struct iovec){(void *)-1, 1};
  line("write from 2^32-1", fd_write(1, &iov, 1, &used));
  iov = (struct iovec){end(), 0};
  line("write of nothing behind the end", fd_write(1, &iov, 1, &used));
  iov = (struct iovec){end() - 1, 2};
  line("read over the end", fd_read(file, &iov, 1, &used));
  line("2^31 iovecs", fd_write(1, &iov, 1u << 31, &used));
  line("2^32-1 iovecs", fd_write(1, &iov, -1, &used));
  line("1025 iovecs", fd_write(1, buffer, 1025, &used));
  line("1024 iovecs of nothing", fd_write(1, buffer, 1024, &used));
  iov = (struct iovec){buffer, 4};
  line("result over its iovec", fd_read(file, &iov, 1, &iov));
  line_number("  is", *(u32 *)&iov);
  iov = (struct iovec){buffer, 4};
  line("result behind the end", fd_read(file, &iov, 1, end() - 3));
  u64 position;
  line("tell", fd_tell(file, &position));
  line_number("  nothing was read for it", position);
  iov = (struct iovec){&iov, 8};
  line("read into its own iovec", fd_pread(file, &iov, 1, 0, &used));
  struct iovec both[2] = {{buffer, 4}, {buffer + 2, 4}};
  line("overlapping iovecs", fd_pread(file, both, 2, 0, &used));
  line_number("  bytes", used);
  line("stat at the end", fd_filestat_get(file, end() - sizeof(struct filestat)));
  line("stat over the end", fd_filestat_get(file, end() - sizeof(struct filestat) + 1));
  line("stat at 2^32-1", fd_filestat_get(file, (void *)-1));
  line("fdstat over the end", fd_fdstat_get(file, end() - sizeof(struct fdstat) + 1));
  line("prestat over the end", fd_prestat_get(3, end() - 7));
  line("name of a grant over the end", fd_prestat_dir_name(3, end(), 1));
  line("time over the end", clock_time_get(0, 0, end() - 7));
  line("arguments over the end", args_get(end() - 4, end() - 1));
  line("their sizes over the end", args_sizes_get(end() - 4, end() - 3));
  line("path over the end", path_filestat_get(3, 0, end() - 1, 2, buffer));
  line("path of 2^32-1 bytes", path_filestat_get(3, 0, buffer, -1, buffer));
  u32 before = must_open("file", 0, READ);
  fd_close(before);
  line("descriptor to behind the end", path_open(3, 0, "file", 4, 0, READ, 0, 0, end() - 3));
  line("link over the end", path_readlink(3, "link", 4, end() - 1, 2, &used));
  line("entries over the end", fd_readdir(3, end() - 1, 2, 0, &used));
  line("random bytes over the end", random_get(end() - 1, 2));
  line("2^32-1 random bytes", random_get(buffer, -1));
  line("2^32-1 random bytes from 0", random_get((void *)0, -1));
  line("no random bytes at the end", random_get(end(), 0));
  line("no random bytes behind the end", random_get(end() + 1, 0));
  line("messages over the end", poll_oneoff(end() - 47, buffer, 1, &used));
  line("events over the end", poll_oneoff(buffer, end() - 31, 1, &used));
  u32 after = must_open("file", 0, READ);
  line_number("descriptors lost", after - before);
  // An unaligned pointer is one like any other.
  line("unaligned", fd_filestat_get(file, buffer + 1));
}

static void descriptors(void) {
  static const u32 numbers[] = {4096, 4095, 1u << 30, 1u << 31, (1u << 31) - 1, -1, -2};
  struct fdstat stat;
  for (u32 i = 0; i < sizeof numbers / sizeof *numbers; i++) {
    u32 fd = numbers[i];
    line_number("number", fd);
    line("  fdstat_get", fd_fdstat_get(fd, &stat));
    line("  fdstat_set_flags", fd_fdstat_set_flags(fd, 0));
    line("  fdstat_set_rights", fd_fdstat_set_rights(fd, 0, 0));
    line("  close", fd_close(fd));
    line("  read", fd_read(fd, &iov, 1, &used));
    line("  write", fd_write(fd, &iov, 1, &used));
    line("  readdir", fd_readdir(fd, buffer, 100, 0, &used));
    line("  renumber from", fd_renumber(fd, 3));
    line("  renumber to", fd_renumber(3, fd));
    line("  open below", path_open(fd, 0, "file", 4, 0, READ, 0, 0, &opened));
    line("  prestat", fd_prestat_get(fd, buffer));
    line("  accept", sock_accept(fd, 0, &opened));
    line("  sync", fd_sync(fd));
  }
  u32 file = must_open("file", 0, READ | RIGHT(21));
  line("a file over itself", fd_renumber(file, file));
  line("  is still there", fd_fdstat_get(file, &stat));
  line("a grant over itself", fd_renumber(3, 3));
  line("  is still there", fd_prestat_get(3, buffer));
  line("a file to a number that is free", fd_renumber(file, 1000));
  line("  is still there", fd_fdstat_get(file, &stat));
  line("a file over a grant", fd_renumber(file, 4));
  line("  its old number", fd_fdstat_get(file, &stat));
  line("  the grant", fd_prestat_get(4, buffer));
  line("  below it", open_at(4, "file", 0, READ, 0));
  iov.len = 4;
  line("  the file", fd_read(4, &iov, 1, &used));
  line("a grant over a file", fd_renumber(3, 4));
  line("  is a grant", fd_prestat_get(4, buffer));
  line("  that can be used", open_at(4, "file", 0, READ, 0));
  line("  its old number", fd_prestat_get(3, buffer));
  line("the lowest number is taken again", fd_prestat_get(opened, buffer));
  line_number("  which is", opened);
  line("closing a grant", fd_close(4));
  line("  twice", fd_close(4));
  line("standard output over a file", fd_renumber(2, opened));
  line("  closing it", fd_close(opened));
}

// Opens until no more can be opened, closes all, and again: as many.
static void many(void) {
  u32 counts[2];
  for (u32 round = 0; round < 2; round++) {
    u32 first = 0, error, count = 0;
    while (!(error = open_at(3, "file", 0, READ, 0))) {
      if (!count++)
        first = opened;
    }
    line("opening on and on ends with", error);
    counts[round] = count;
    for (u32 i = 0; i < count; i++)
      if (fd_close(first + i))
        line("close", 1);
  }
  line_number("fewer the second time", counts[0] - counts[1]);
  u64 times = number(argument(2));
  u32 failed = 0;
  for (u64 i = 0; i < times; i++) {
    failed += open_at(3, "file", 0, READ, 0) != 0;
    failed += fd_close(opened) != 0;
  }
  line_number("opened and closed, failures", failed);
  line_number("last number", opened);
}

static u32 cookies(u32 dir, u32 room, u32 *entries, u32 *bad) {
  u64 cookie = 0;
  for (;;) {
    u32 error = fd_readdir(dir, buffer, room, cookie, &used);
    if (error)
      return error;
    u32 at = 0;
    u64 last = cookie;
    while (at + 24 <= used) {
      u32 name_len = *(u32 *)(buffer + at + 16);
      if (at + 24 + name_len > used)
        break;
      // The padding behind the type.
      *bad += buffer[at + 21] != 0 || buffer[at + 22] != 0 || buffer[at + 23] != 0;
      last = *(u64 *)(buffer + at);
      at += 24 + name_len;
      ++*entries;
    }
    if (used < room)
      return 0;
    if (last == cookie)
      return 1;
    cookie = last;
  }
}

static void readdir(void) {
  u32 dir = must_open("many", DIRECTORY, RIGHT(14));
  for (u32 i = 0; i < sizeof buffer; i++)
    buffer[i] = 0xff;
  static const u32 sizes[] = {0, 1, 23, 24, 25};
  for (u32 i = 0; i < sizeof sizes / sizeof *sizes; i++) {
    line_number("room", sizes[i]);
    line("  readdir", fd_readdir(dir, buffer, sizes[i], 0, &used));
    line_number("  used", used);
    line_number("  byte behind it", buffer[sizes[i]]);
  }
  line("cookie 2^64-1", fd_readdir(dir, buffer, 1000, -1, &used));
  line("cookie 2^63", fd_readdir(dir, buffer, 1000, 1ull << 63, &used));
  line("2^32-1 bytes", fd_readdir(dir, buffer, -1, 0, &used));
  line("of a file", fd_readdir(must_open("file", 0, READ), buffer, 1000, 0, &used));
  line("of standard input", fd_readdir(0, buffer, 1000, 0, &used));
  static const u32 rooms[] = {24 + 255, 300, 1000, 4096, 65536};
  for (u32 i = 0; i < sizeof rooms / sizeof *rooms; i++) {
    u32 entries = 0, bad = 0;
    line_number("all with room", rooms[i]);
    line("  readdir", cookies(dir, rooms[i], &entries, &bad));
    line_number("  entries", entries);
    line_number("  padding not zero", bad);
  }
  u32 entries = 0, bad = 0;
  line("an empty one", cookies(must_open("empty", DIRECTORY, RIGHT(14)), 1000, &entries, &bad));
  line_number("  entries", entries);
  line("a removed one is made", path_create_directory(3, "gone", 4));
  dir = must_open("gone", DIRECTORY, RIGHT(14));
  line("  and removed", path_remove_directory(3, "gone", 4));
  entries = 0;
  line("  and read", cookies(dir, 1000, &entries, &bad));
  line_number("  entries", entries);
}

static void times(void) {
  static const u64 moments[] = {0, 1, (1ull << 63) - 1, 1ull << 63, -1};
  static struct filestat stat;
  u32 file = must_open("file", 0, READ | WRITE | RIGHT(21) | RIGHT(23));
  for (u32 i = 0; i < sizeof moments / sizeof *moments; i++) {
    line_number("time", moments[i]);
    line("  path_filestat_set_times", path_filestat_set_times(3, 0, "file", 4, moments[i], moments[i], ATIM | MTIM));
    line("  fd_filestat_set_times", fd_filestat_set_times(file, moments[i], moments[i], ATIM | MTIM));
    line("  fd_filestat_get", fd_filestat_get(file, &stat));
    // Not every file system can hold every time.
    line_number("  later than asked for", stat.mtim > moments[i]);
  }
  line("before the epoch", path_filestat_get(3, 0, "ancient", 7, &stat));
  line_number("  is", stat.mtim);
  for (u32 i = 0; i < 7; i++)
    if (stat.pad[i])
      line("  padding", 1);
  line("both times twice", fd_filestat_set_times(file, 0, 0, ATIM | ATIM_NOW));
  line("both times twice", fd_filestat_set_times(file, 0, 0, MTIM | MTIM_NOW));
  line("unknown flag", fd_filestat_set_times(file, 0, 0, 16));
  line("unknown flags", path_filestat_set_times(3, 0, "file", 4, 0, 0, -1));
  line("unknown lookup flag", path_filestat_set_times(3, 2, "file", 4, 0, 0, ATIM));
  line("no times", fd_filestat_set_times(file, 5, 5, 0));
  u64 time;
  line("clock 4", clock_time_get(4, 0, &time));
  line("clock 2^32-1", clock_time_get(-1, 0, &time));
  line("resolution of clock 4", clock_res_get(4, &time));
  line("resolution of clock 2^31", clock_res_get(1u << 31, &time));
  line("precision 2^64-1", clock_time_get(1, -1, &time));
}

static void poll(void) {
  const u32 count = 1u << 20;
  static struct subscription one;
  line("no subscriptions", poll_oneoff(&one, buffer, 0, &used));
  one.tag = 3;
  line("an unknown kind", poll_oneoff(&one, buffer, 1, &used));
  one.tag = 255;
  line("another", poll_oneoff(&one, buffer, 1, &used));
  line("2^32-1 subscriptions", poll_oneoff(&one, buffer, -1, &used));
  line("2^31 subscriptions", poll_oneoff(&one, buffer, 1u << 31, &used));
  struct event *event = (struct event *)buffer;
  static const u32 clocks[] = {0, 1, 2, 3, 4, -1};
  for (u32 i = 0; i < sizeof clocks / sizeof *clocks; i++) {
    one = (struct subscription){.userdata = 7, .id = clocks[i], .timeout = 1};
    line_number("clock", clocks[i]);
    line("  poll", poll_oneoff(&one, event, 1, &used));
    line_number("  events", used);
    line("  its error", event->error);
  }
  one = (struct subscription){.id = 1, .flags = 2};
  line("an unknown flag of a clock", poll_oneoff(&one, event, 1, &used));
  line("  its error", event->error);
  one = (struct subscription){.id = 0, .flags = 1, .timeout = 1};
  line("a moment long past", poll_oneoff(&one, event, 1, &used));
  static const u32 fds[] = {1000, 1u << 31, -1, 3};
  for (u32 i = 0; i < sizeof fds / sizeof *fds; i++) {
    one = (struct subscription){.userdata = -1, .tag = 1, .id = fds[i]};
    line_number("reading descriptor", fds[i]);
    line("  poll", poll_oneoff(&one, event, 1, &used));
    line_number("  events", used);
    line("  its error", event->error);
    line_number("  is ours", event->userdata == -1ull && event->tag == 1);
  }
  u32 start = __builtin_wasm_memory_size(0) * PAGE;
  u32 pages = count / PAGE * (sizeof(struct subscription) + sizeof(struct event));
  if (__builtin_wasm_memory_grow(0, pages) == (unsigned long)-1)
    proc_exit(94);
  struct subscription *many = (struct subscription *)start;
  struct event *events = (struct event *)(many + count);
  for (u32 i = 0; i < count; i++)
    many[i] = (struct subscription){.userdata = i, .id = 1};
  line("2^20 clocks", poll_oneoff(many, events, count, &used));
  line_number("  events", used);
  line_number("  the last is ours", events[count - 1].userdata == count - 1);
  u32 file = must_open("file", 0, READ | RIGHT(27));
  for (u32 i = 0; i < count; i++)
    many[i] = (struct subscription){.userdata = i, .tag = 1, .id = i % 2 ? file : 5000};
  line("2^20 descriptors", poll_oneoff(many, events, count, &used));
  line_number("  events", used);
  line("  the first", events[0].error);
  line("  the second", events[1].error);
  for (u32 i = 0; i < 100; i++)
    many[i] = (struct subscription){.userdata = i, .id = 1};
  line("events over their subscriptions", poll_oneoff(many, many, 100, &used));
  line_number("  events", used);
  u32 bad = 0;
  for (u32 i = 0; i < 100; i++)
    for (u32 j = 11; j < 16; j++)
      bad += ((u8 *)many)[32 * i + j] != 0;
  line_number("  padding not zero", bad);
}

static void offsets(void) {
  u32 file = must_open("file", 0, READ | WRITE | ALLOCATE | SET_SIZE | RIGHT(2) | RIGHT(3) | RIGHT(5) | RIGHT(7) | RIGHT(21));
  u64 position;
  iov = (struct iovec){buffer, 1};
  line("seek to -1", fd_seek(file, -1, 0, &position));
  line("seek to 2^63", fd_seek(file, (i64)(1ull << 63), 0, &position));
  line("seek by -2^63", fd_seek(file, (i64)(1ull << 63), 1, &position));
  line("seek from the end by -2^63", fd_seek(file, (i64)(1ull << 63), 2, &position));
  line("seek from the end by 2^63-1", fd_seek(file, (i64)(~0ull >> 1), 2, &position));
  line("seek with whence 3", fd_seek(file, 0, 3, &position));
  line("seek with whence 255", fd_seek(file, 0, 255, &position));
  line("tell", fd_tell(file, &position));
  line_number("  is", position);
  line("pread at 2^64-1", fd_pread(file, &iov, 1, -1, &used));
  line("pread at 2^63", fd_pread(file, &iov, 1, 1ull << 63, &used));
  line("pwrite at 2^64-1", fd_pwrite(file, &iov, 1, -1, &used));
  line("pwrite at 2^63", fd_pwrite(file, &iov, 1, 1ull << 63, &used));
  line("size 2^64-1", fd_filestat_set_size(file, -1));
  line("size 2^63", fd_filestat_set_size(file, 1ull << 63));
  line("allocate nothing", fd_allocate(file, 0, 0));
  line("allocate 2^64-1", fd_allocate(file, 0, -1));
  line("allocate at 2^64-1", fd_allocate(file, -1, 1));
  line("advise at 2^64-1", fd_advise(file, -1, 1, 0));
  line("advise on 2^64-1 bytes", fd_advise(file, 0, -1, 0));
  line("advice 6", fd_advise(file, 0, 1, 6));
  line("advice 2^32-1", fd_advise(file, 0, 1, -1));
  struct filestat stat;
  line("stat", fd_filestat_get(file, &stat));
  line_number("  size", stat.size);
  line("unknown flags", fd_fdstat_set_flags(file, 32));
  line("more unknown flags", fd_fdstat_set_flags(file, -1));
  line("flags that Linux can't switch", fd_fdstat_set_flags(file, SYNC));
  line("open with unknown oflags", open_at(3, "file", 16, READ, 0));
  line("open with unknown fdflags", open_at(3, "file", 0, READ, 32));
  line("open with unknown lookup flags", path_open(3, 2, "file", 4, 0, READ, 0, 0, &opened));
  line("open with every right there is and there isn't", open_at(3, "file", 0, -1, 0));
  struct fdstat rights;
  line("  fdstat", fd_fdstat_get(opened, &rights));
  line_number("  rights that do not exist", rights.base >> 30);
  line_number("  rights to paths", (rights.base & RIGHT(13)) != 0);
  line_number("  padding", rights.pad | rights.pad2);
}

static void rights(void) {
  u32 file = must_open("file", 0, READ | WRITE | ALLOCATE | SET_SIZE | RIGHT(0) | RIGHT(4) | RIGHT(21));
  line("more rights", fd_fdstat_set_rights(file, ALL_RIGHTS, 0));
  line("rights to hand on", fd_fdstat_set_rights(file, READ, READ));
  line("fewer rights", fd_fdstat_set_rights(file, RIGHT(21), 0));
  line("  the old ones", fd_fdstat_set_rights(file, READ, 0));
  iov = (struct iovec){buffer, 4};
  line("  read", fd_read(file, &iov, 1, &used));
  line("  write", fd_write(file, &iov, 1, &used));
  line("  pread", fd_pread(file, &iov, 1, 0, &used));
  line("  pwrite", fd_pwrite(file, &iov, 1, 0, &used));
  line("  allocate", fd_allocate(file, 0, 1));
  line("  set_size", fd_filestat_set_size(file, 0));
  line("  set_times", fd_filestat_set_times(file, 0, 0, MTIM));
  line("  sync", fd_sync(file));
  line("  datasync", fd_datasync(file));
  u64 position;
  line("  seek", fd_seek(file, 1, 0, &position));
  line("  tell", fd_tell(file, &position));
  line("  advise", fd_advise(file, 0, 1, 0));
  line("  set_flags", fd_fdstat_set_flags(file, 0));
  struct filestat stat;
  line("  stat", fd_filestat_get(file, &stat));
  line("no rights", fd_fdstat_set_rights(3, 0, 0));
  line("  open", open_at(3, "file", 0, READ, 0));
  line("  stat", path_filestat_get(3, 0, "file", 4, &stat));
  line("  unlink", path_unlink_file(3, "file", 4));
}

// The granted directory is the host's root.
static void procfs(void) {
  static const char *const paths[] = {
      "proc/self/mem", "proc/self/maps", "proc/self/exe", "proc/self/root/etc", "proc/self/fd/0", "proc/self/cwd",
      "proc/thread-self/mem", "proc/1/mem", "proc/sys/kernel/core_pattern", "proc/.", "proc/", "proc",
      "proc/../etc", "./proc/self/mem", "dev/../proc/self/mem", "dev/fd/0", "dev/stdin", "dev/fd"};
  struct filestat stat;
  for (u32 i = 0; i < sizeof paths / sizeof *paths; i++) {
    const char *path = paths[i];
    u32 len = length(path);
    say(path);
    say("\n");
    line("  open", path_open(3, FOLLOW, path, len, 0, READ, 0, 0, &opened));
    line("  open to write", path_open(3, FOLLOW, path, len, 0, READ | WRITE, 0, 0, &opened));
    // Directories hold names, which is what `proc` itself may be known by.
    line("  stat", path_filestat_get(3, FOLLOW, path, len, &stat));
    line("  readlink", path_readlink(3, path, len, buffer, 100, &used));
  }
}

static void sync(void) {
  u32 file = must_open("file", 0, READ | WRITE | RIGHT(0) | RIGHT(4));
  line("fd_sync of a file", fd_sync(file));
  line("fd_datasync of a file", fd_datasync(file));
  u32 dir = must_open(".", DIRECTORY, RIGHT(0) | RIGHT(4));
  line("fd_sync of a directory", fd_sync(dir));
  line("fd_datasync of a directory", fd_datasync(dir));
  line("fd_sync of a grant", fd_sync(3));
  line("fd_datasync of a grant", fd_datasync(3));
  line("fd_sync of a pipe", fd_sync(1));
  line("fd_datasync of a pipe", fd_datasync(1));
  line("fd_sync of nothing", fd_sync(77));
  line("fd_datasync of nothing", fd_datasync(77));
  file = must_open("file", 0, READ);
  line("fd_sync without the right", fd_sync(file));
  line("fd_datasync without the right", fd_datasync(file));
}

static void raise(void) {
  u32 signal = number(argument(2));
  line("proc_raise", proc_raise(signal));
}

// Results go to a file: there is no other place.
static void closed(void) {
  u32 file = must_open("result", CREAT, READ | WRITE);
  u32 other = must_open("other", CREAT, READ | WRITE);
  out = file;
  iov = (struct iovec){"stolen", 6};
  line_number("first file", file);
  line("write to 1", fd_write(1, &iov, 1, &used));
  line("write to 2", fd_write(2, &iov, 1, &used));
  line("write to 0", fd_write(0, &iov, 1, &used));
  iov = (struct iovec){buffer, 6};
  line("read from 0", fd_read(0, &iov, 1, &used));
  line_number("  bytes", used);
  line("read from 1", fd_read(1, &iov, 1, &used));
  struct filestat stat;
  fd_filestat_get(other, &stat);
  line("close 0", fd_close(0));
  line("close 1", fd_close(1));
  line("close 2", fd_close(2));
  line("open", open_at(3, "other", 0, READ, 0));
  line_number("  its number is a standard stream's", opened < 3);
}

// Standard output is a pipe that nobody reads.
static void pipe(void) {
  u32 file = must_open("result", CREAT, READ | WRITE);
  iov = (struct iovec){buffer, 100};
  u32 error;
  do
    error = fd_write(1, &iov, 1, &used);
  while (!error);
  out = file;
  line("write to a closed pipe", error);
  line("again", fd_write(1, &iov, 1, &used));
  u64 position;
  line("seek in it", fd_seek(1, 0, 0, &position));
  line("tell in it", fd_tell(1, &position));
  line("pwrite to it", fd_pwrite(1, &iov, 1, 0, &used));
  line("size of it", fd_filestat_set_size(1, 0));
}

void _start(void) {
  static const struct {
    const char *name;
    void (*run)(void);
  } sections[] = {{"memory", memory},   {"descriptors", descriptors}, {"many", many},     {"readdir", readdir},
                  {"times", times},     {"poll", poll},               {"offsets", offsets}, {"rights", rights},
                  {"procfs", procfs},   {"sync", sync},               {"raise", raise},   {"closed", closed},
                  {"pipe", pipe}};
  for (u32 i = 0; i < sizeof sections / sizeof *sections; i++)
    if (same(argument(1), sections[i].name)) {
      sections[i].run();
      proc_exit(0);
    }
  proc_exit(93);
}
