// The path zoo: one operation on one path, again and again, each below a directory of its own.
//
// zoo OPERATION [one]: for each path of standard input (each ended by a byte 1, because NUL is a byte that a
// path can have), opens the directory "0", "1", … below the granted one (with `one`, always "0"), carries out
// the operation there, and prints the errno.
#include "preview1.h"

static u8 input[1 << 18];
static u8 buffer[256];

#define TIME 1000000000ull * 1000000000ull

static u32 opened;

static u32 open(u32 dir, u32 flags, const u8 *path, u32 len, u32 oflags, u64 rights) {
  u32 error = path_open(dir, flags, path, len, oflags, rights, 0, 0, &opened);
  if (!error)
    fd_close(opened);
  return error;
}

static u32 act(const char *what, u32 dir, const u8 *path, u32 len) {
  struct filestat stat;
  u32 used;
  u32 follow = 0;
  if (same(what, "path_create_directory"))
    return path_create_directory(dir, path, len);
  if (same(what, "path_filestat_get"))
    return path_filestat_get(dir, 0, path, len, &stat);
  if (same(what, "path_filestat_get follow"))
    return path_filestat_get(dir, FOLLOW, path, len, &stat);
  if (same(what, "path_filestat_set_times"))
    return path_filestat_set_times(dir, 0, path, len, TIME, TIME, ATIM | MTIM);
  if (same(what, "path_filestat_set_times follow"))
    return path_filestat_set_times(dir, FOLLOW, path, len, TIME, TIME, ATIM | MTIM);
  if (same(what, "path_link from"))
    return path_link(dir, 0, path, len, dir, "linked", 6);
  if (same(what, "path_link from follow"))
    return path_link(dir, FOLLOW, path, len, dir, "linked", 6);
  if (same(what, "path_link to"))
    return path_link(dir, 0, "file", 4, dir, path, len);
  if (same(what, "path_open"))
    return open(dir, 0, path, len, 0, READ);
  if (same(what, "path_open follow"))
    return open(dir, FOLLOW, path, len, 0, READ);
  if (same(what, "path_open write follow"))
    return open(dir, FOLLOW, path, len, 0, READ | WRITE);
  if (same(what, "path_open creat"))
    return open(dir, 0, path, len, CREAT, READ | WRITE);
  if (same(what, "path_open creat follow"))
    return open(dir, FOLLOW, path, len, CREAT, READ | WRITE);
  if (same(what, "path_open creat excl follow"))
    return open(dir, FOLLOW, path, len, CREAT | EXCL, READ | WRITE);
  if (same(what, "path_open directory"))
    return open(dir, 0, path, len, DIRECTORY, READ);
  if (same(what, "path_open directory follow"))
    return open(dir, FOLLOW, path, len, DIRECTORY, READ);
  if (same(what, "path_open trunc follow"))
    return open(dir, FOLLOW, path, len, TRUNC, READ | WRITE);
  if (same(what, "path_open trunc read follow"))
    return open(dir, FOLLOW, path, len, TRUNC, READ);
  if (same(what, "path_readlink"))
    return path_readlink(dir, path, len, buffer, sizeof buffer, &used);
  if (same(what, "path_remove_directory"))
    return path_remove_directory(dir, path, len);
  if (same(what, "path_rename from"))
    return path_rename(dir, path, len, dir, "moved", 5);
  if (same(what, "path_rename file to"))
    return path_rename(dir, "file", 4, dir, path, len);
  if (same(what, "path_rename directory to"))
    return path_rename(dir, "dir", 3, dir, path, len);
  if (same(what, "path_symlink at"))
    return path_symlink("text", 4, dir, path, len);
  if (same(what, "path_symlink to"))
    return path_symlink(path, len, dir, "made", 4);
  if (same(what, "path_unlink_file"))
    return path_unlink_file(dir, path, len);
  proc_exit(97);
}

void _start(void) {
  u32 len = 0;
  for (;;) {
    struct iovec iov = {input + len, sizeof input - len};
    u32 read;
    if (fd_read(0, &iov, 1, &read))
      proc_exit(96);
    if (!read)
      break;
    len += read;
  }
  u32 start = 0, index = 0;
  for (u32 end = 0; end < len; end++) {
    if (input[end] != 1)
      continue;
    char name[8];
    u32 at = sizeof name, rest = *argument(2) ? 0 : index++;
    do
      name[--at] = '0' + rest % 10;
    while (rest /= 10);
    u32 dir;
    u64 base = ALL_RIGHTS & ~(READ | WRITE | ALLOCATE | SET_SIZE);
    if (path_open(3, 0, name + at, sizeof name - at, DIRECTORY, base, ALL_RIGHTS, 0, &dir))
      proc_exit(95);
    say_errno(act(argument(1), dir, input + start, end - start));
    say("\n");
    fd_close(dir);
    start = end + 1;
  }
}
