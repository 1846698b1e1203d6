// The time, ten million times. It never goes back.
#include <wasi/api.h>

int main(void) {
  __wasi_timestamp_t last = 0, now;
  for (int i = 0; i < 10000000; i++) {
    if (__wasi_clock_time_get(__WASI_CLOCKID_MONOTONIC, 1, &now) || now < last)
      return 1;
    last = now;
  }
  return 0;
}
