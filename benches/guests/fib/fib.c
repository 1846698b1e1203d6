// Recursive Fibonacci: nothing but calls.
#include "../bench.h"

static uint32_t fib(uint32_t n) { return n < 2 ? n : fib(n - 1) + fib(n - 2); }

static uint32_t fib_round(void) {
    volatile uint32_t n = 34;
    return fib(n);
}

int main(int argc, char **argv) { return bench_main(argc, argv, "fib", 30, 0x005704e7u, fib_round); }
