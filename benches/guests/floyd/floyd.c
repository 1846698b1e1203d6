// All-pairs shortest paths (Floyd-Warshall) over a dense integer matrix.
#include "../bench.h"

#define N 300

static int32_t paths[N][N];

static uint32_t floyd_round(void) {
    for (int i = 0; i < N; i++)
        for (int j = 0; j < N; j++) {
            paths[i][j] = i * j % 7 + 1;
            if ((i + j) % 13 == 0 || (i + j) % 7 == 0 || (i + j) % 11 == 0) paths[i][j] = 999;
        }
    for (int k = 0; k < N; k++)
        for (int i = 0; i < N; i++)
            for (int j = 0; j < N; j++) {
                int32_t through = paths[i][k] + paths[k][j];
                if (through < paths[i][j]) paths[i][j] = through;
            }
    uint32_t sum = 0;
    for (int i = 0; i < N; i++)
        for (int j = 0; j < N; j++) sum = fold(sum, (uint32_t)paths[i][j]);
    return sum;
}

int main(int argc, char **argv) { return bench_main(argc, argv, "floyd", 40, 0x1b7eeb03u, floyd_round); }
