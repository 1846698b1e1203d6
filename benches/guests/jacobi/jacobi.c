// Two-dimensional five-point Jacobi relaxation between two grids.
#include "../bench.h"

#define N 300
#define STEPS 100

static double a[N][N], b[N][N];

static void relax(double to[N][N], double from[N][N]) {
    for (int i = 1; i < N - 1; i++)
        for (int j = 1; j < N - 1; j++)
            to[i][j] = 0.2 * (from[i][j] + from[i][j - 1] + from[i][j + 1] + from[i + 1][j] + from[i - 1][j]);
}

static uint32_t jacobi_round(void) {
    for (int i = 0; i < N; i++)
        for (int j = 0; j < N; j++) {
            a[i][j] = ((double)i * (j + 2) + 2) / N;
            b[i][j] = ((double)i * (j + 3) + 3) / N;
        }
    for (int step = 0; step < STEPS; step++) {
        relax(b, a);
        relax(a, b);
    }
    uint32_t sum = 0;
    for (int i = 0; i < N; i++)
        for (int j = 0; j < N; j++) sum = fold_f64(sum, a[i][j]);
    return sum;
}

int main(int argc, char **argv) { return bench_main(argc, argv, "jacobi", 20, 0xf6f60012u, jacobi_round); }
