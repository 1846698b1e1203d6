// Opens paths while somebody outside exchanges files and links, and moves directories out and in again.
//
// racer COUNT: opens in turn the paths below, COUNT times in all. Files inside begin with `i`. Prints how many
// were inside, how many were refused, and how many were something else.
#include "preview1.h"

static const char *const PATHS[] = {
    "swap/file",            // `swap` is a directory or a link to one outside
    "leaf",                 // a file or a link to one outside
    "swap/../file",         // `..` of either
    "a/b/c/../../../file",  // `a/b` is moved out and in again
    "swap/made",            // made if it is not there
    "deep/leaf/../../leaf", // `deep/leaf` is a directory or a link outside
};

void _start(void) {
  u64 count = number(argument(1));
  u32 inside = 0, refused = 0, escapes = 0;
  const u32 paths = sizeof PATHS / sizeof *PATHS;
  for (u64 i = 0; i < count; i++) {
    const char *path = PATHS[i % paths];
    int make = i % paths == 4;
    u32 len = length(path), file;
    if (path_open(3, FOLLOW, path, len, make ? CREAT : 0, make ? READ | WRITE : READ, 0, 0, &file)) {
      refused++;
      continue;
    }
    char byte = 0;
    u32 read = 0;
    struct iovec iov = {&byte, 1};
    fd_read(file, &iov, 1, &read);
    if (make ? read == 0 || byte == 'i' : byte == 'i')
      inside++;
    else
      escapes++;
    fd_close(file);
    if (make)
      path_unlink_file(3, path, len);
  }
  say("inside ");
  say_number(inside);
  say(" refused ");
  say_number(refused);
  say(" escapes ");
  say_number(escapes);
  say("\n");
  proc_exit(0);
}
