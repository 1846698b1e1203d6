// One byte to standard output, a million times.
#include <unistd.h>

int main(void) {
  char byte = 'x';
  for (int i = 0; i < 1000000; i++)
    if (write(1, &byte, 1) != 1)
      return 1;
  return 0;
}
