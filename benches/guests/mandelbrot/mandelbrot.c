// Escape counts of the Mandelbrot set: one hot floating-point loop with an unpredictable end.
#include "../bench.h"

#define SIDE 320
#define LIMIT 300

static uint32_t mandelbrot_round(void) {
    static uint16_t counts[SIDE][SIDE];
    for (int row = 0; row < SIDE; row++)
        for (int col = 0; col < SIDE; col++) {
            double cx = col * (3.0 / SIDE) - 2.0, cy = row * (3.0 / SIDE) - 1.5;
            double x = 0, y = 0, xx = 0, yy = 0;
            int n = 0;
            while (n < LIMIT && xx + yy <= 4.0) {
                y = 2 * x * y + cy;
                x = xx - yy + cx;
                xx = x * x;
                yy = y * y;
                n++;
            }
            counts[row][col] = (uint16_t)n;
        }
    uint32_t sum = 0;
    for (int row = 0; row < SIDE; row++)
        for (int col = 0; col < SIDE; col++) sum = fold(sum, counts[row][col]);
    return sum;
}

int main(int argc, char **argv) {
    return bench_main(argc, argv, "mandelbrot", 30, 0x572dab94u, mandelbrot_round);
}
