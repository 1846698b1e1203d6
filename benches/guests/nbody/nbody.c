// Bodies under gravity, in double precision: multiplications, a square root and a division per pair.
#include "../bench.h"

#define BODIES 6

struct body {
    double x, y, z, vx, vy, vz, mass;
};

static double root(double x) { return __builtin_sqrt(x); }

static void advance(struct body *b, double dt) {
    for (int i = 0; i < BODIES; i++)
        for (int j = i + 1; j < BODIES; j++) {
            double dx = b[i].x - b[j].x, dy = b[i].y - b[j].y, dz = b[i].z - b[j].z;
            double d2 = dx * dx + dy * dy + dz * dz + 1e-9;
            double mag = dt / (d2 * root(d2));
            b[i].vx -= dx * b[j].mass * mag, b[i].vy -= dy * b[j].mass * mag, b[i].vz -= dz * b[j].mass * mag;
            b[j].vx += dx * b[i].mass * mag, b[j].vy += dy * b[i].mass * mag, b[j].vz += dz * b[i].mass * mag;
        }
    for (int i = 0; i < BODIES; i++) b[i].x += dt * b[i].vx, b[i].y += dt * b[i].vy, b[i].z += dt * b[i].vz;
}

static double energy(const struct body *b) {
    double e = 0;
    for (int i = 0; i < BODIES; i++) {
        e += 0.5 * b[i].mass * (b[i].vx * b[i].vx + b[i].vy * b[i].vy + b[i].vz * b[i].vz);
        for (int j = i + 1; j < BODIES; j++) {
            double dx = b[i].x - b[j].x, dy = b[i].y - b[j].y, dz = b[i].z - b[j].z;
            e -= b[i].mass * b[j].mass / root(dx * dx + dy * dy + dz * dz);
        }
    }
    return e;
}

static uint32_t nbody_round(void) {
    // A made-up sun with five planets on near-circular, slightly tilted orbits.
    struct body bodies[BODIES] = {{0, 0, 0, 0, 0, 0, 40}};
    for (int i = 1; i < BODIES; i++) {
        double radius = 2.0 * i + 1, speed = root(40 / radius);
        bodies[i] = (struct body){i & 1 ? radius : 0,  i & 1 ? 0 : radius, 0.01 * i,      i & 1 ? 0 : -speed,
                                  i & 1 ? speed : 0.0, 0.001 * i,          0.001 * i * i};
    }
    double before = energy(bodies);
    for (int i = 0; i < 100000; i++) advance(bodies, 0.001);
    double after = energy(bodies), drift = after / before - 1;
    if (!(drift < 0.02 && drift > -0.02)) fail("energy is not kept");
    return fold_f64(fold_f64(0, after), bodies[3].x);
}

int main(int argc, char **argv) { return bench_main(argc, argv, "nbody", 80, 0x4e32b331u, nbody_round); }
