// Line output through printf, with a clock read now and then: formatting, and the price of leaving
// the guest. The clock only has to move forward; it isn't printed.
#include "../bench.h"
#include <time.h>

static const char *const names[] = {"ash", "birch", "cedar", "elm", "fir", "hazel", "larch", "oak"};
static struct timespec last;

static uint32_t lines_round(void) {
    rng_seed(80);
    uint32_t sum = 0;
    for (int i = 0; i < 2000; i++) {
        uint32_t r = rng();
        int n = printf("%5d %-6s %08x %+.3f %c\n", i, names[r & 7], (unsigned)r, (double)(int32_t)r / 65536.0,
                       'a' + (int)(r >> 8) % 26);
        if (n < 0) fail("printf");
        sum = fold(sum, (uint32_t)n);
        fflush(stdout);
        struct timespec now;
        clock_gettime(CLOCK_MONOTONIC, &now);
        if (now.tv_sec < last.tv_sec || (now.tv_sec == last.tv_sec && now.tv_nsec < last.tv_nsec))
            fail("the monotonic clock went back");
        last = now;
    }
    return sum;
}

int main(int argc, char **argv) { return bench_main(argc, argv, "lines", 210, 0x79d92930u, lines_round); }
