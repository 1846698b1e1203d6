// Dense matrix product C = alpha A B + beta C in double precision, the loop order that compilers like.
#include "../bench.h"

#define NI 180
#define NJ 200
#define NK 220

static double a[NI][NK], b[NK][NJ], c[NI][NJ];

static uint32_t gemm_round(void) {
    for (int i = 0; i < NI; i++)
        for (int k = 0; k < NK; k++) a[i][k] = (double)(i * (k + 1) % NK) / NK;
    for (int k = 0; k < NK; k++)
        for (int j = 0; j < NJ; j++) b[k][j] = (double)(k * (j + 2) % NJ) / NJ;
    for (int i = 0; i < NI; i++)
        for (int j = 0; j < NJ; j++) c[i][j] = (double)((i * j + 1) % NI) / NI;
    for (int i = 0; i < NI; i++) {
        for (int j = 0; j < NJ; j++) c[i][j] *= 1.25;
        for (int k = 0; k < NK; k++)
            for (int j = 0; j < NJ; j++) c[i][j] += 1.5 * a[i][k] * b[k][j];
    }
    uint32_t sum = 0;
    for (int i = 0; i < NI; i++)
        for (int j = 0; j < NJ; j++) sum = fold_f64(sum, c[i][j]);
    return sum;
}

int main(int argc, char **argv) { return bench_main(argc, argv, "gemm", 140, 0x8e51cbf5u, gemm_round); }
