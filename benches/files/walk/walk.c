// Walks a tree of 10,000 files, asking for the size of each: ten times, or as often as told.
#include <dirent.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

static long files, bytes;

static void walk(int parent, const char *name) {
  int fd = openat(parent, name, O_RDONLY | O_DIRECTORY);
  DIR *directory = fd < 0 ? NULL : fdopendir(fd);
  if (!directory) {
    perror(name);
    exit(1);
  }
  struct dirent *entry;
  while ((entry = readdir(directory))) {
    if (!strcmp(entry->d_name, ".") || !strcmp(entry->d_name, ".."))
      continue;
    struct stat status;
    if (fstatat(fd, entry->d_name, &status, AT_SYMLINK_NOFOLLOW)) {
      perror(entry->d_name);
      exit(1);
    }
    if (S_ISDIR(status.st_mode)) {
      walk(fd, entry->d_name);
    } else {
      files++;
      bytes += status.st_size;
    }
  }
  closedir(directory);
}

int main(int argc, char **argv) {
  int rounds = argc > 1 ? atoi(argv[1]) : 10;
  for (int i = 0; i < rounds; i++) {
    files = bytes = 0;
    walk(AT_FDCWD, "/tree");
  }
  printf("%ld files, %ld bytes\n", files, bytes);
  return 0;
}
