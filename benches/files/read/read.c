// Reads a file to its end, 64 KiB at a time, and looks at a byte of each 4 KiB.
#include <fcntl.h>
#include <stdio.h>
#include <unistd.h>

static unsigned char buffer[65536];

int main(void) {
  int file = open("/file", O_RDONLY);
  if (file < 0) {
    perror("file");
    return 1;
  }
  long long bytes = 0, sum = 0;
  ssize_t len;
  while ((len = read(file, buffer, sizeof buffer)) > 0) {
    bytes += len;
    for (ssize_t i = 0; i < len; i += 4096)
      sum += buffer[i];
  }
  printf("%lld bytes, sum %lld\n", bytes, sum);
  return len < 0;
}
