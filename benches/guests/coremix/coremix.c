// The mix that small-core benchmarks like: a linked list found, reversed and merge-sorted; a 16-bit
// matrix multiplied and masked; a state machine reading numbers out of text; a CRC over it all.
#include "../bench.h"

static uint16_t crc16(uint32_t value, uint16_t crc) {
    for (int i = 0; i < 16; i++, value >>= 1) {
        uint32_t bit = (value ^ crc) & 1;
        crc = (uint16_t)(crc >> 1 ^ (bit ? 0xa001 : 0));
    }
    return crc;
}

struct cell {
    struct cell *next;
    int16_t key, rank;
};

#define CELLS 400
static struct cell cells[CELLS];

static struct cell *list_find(struct cell *list, int16_t key) {
    while (list && list->key != key) list = list->next;
    return list;
}

static struct cell *list_reverse(struct cell *list) {
    struct cell *done = NULL;
    while (list) {
        struct cell *next = list->next;
        list->next = done;
        done = list;
        list = next;
    }
    return done;
}

typedef int (*order)(const struct cell *, const struct cell *);
static int by_key(const struct cell *a, const struct cell *b) { return a->key - b->key; }
static int by_rank(const struct cell *a, const struct cell *b) { return a->rank - b->rank; }

static struct cell *list_sort(struct cell *list, order cmp) {
    for (size_t run = 1;; run *= 2) {
        struct cell *p = list, **tail = &list;
        size_t merges = 0;
        while (p) {
            struct cell *q = p;
            size_t left = 0, right = run;
            merges++;
            while (left < run && q) {
                left++;
                q = q->next;
            }
            while (left || (right && q)) {
                struct cell *take;
                if (!left || (right && q && cmp(p, q) > 0)) {
                    take = q;
                    q = q->next;
                    right--;
                } else {
                    take = p;
                    p = p->next;
                    left--;
                }
                *tail = take;
                tail = &take->next;
            }
            p = q;
        }
        *tail = NULL;
        if (merges <= 1) return list;
    }
}

#define N 40
static int16_t ma[N][N], mb[N][N];
static int32_t mc[N][N];

static uint16_t matrix(int16_t add, uint16_t crc) {
    for (int i = 0; i < N; i++)
        for (int j = 0; j < N; j++) ma[i][j] = (int16_t)(ma[i][j] + add);
    for (int i = 0; i < N; i++)
        for (int j = 0; j < N; j++) {
            int32_t sum = 0;
            for (int k = 0; k < N; k++) {
                int32_t product = ma[i][k] * mb[k][j];
                sum += (product >> 2 & 0xf) * (product >> 5 & 0x7f);
            }
            mc[i][j] = sum;
        }
    for (int i = 0; i < N; i++) crc = crc16((uint32_t)mc[i][N - 1 - i], crc);
    for (int i = 0; i < N; i++)
        for (int j = 0; j < N; j++) ma[i][j] = (int16_t)(ma[i][j] - add);
    return crc;
}

enum state { START, SIGN, INTEGER, POINT, FRACTION, EXPONENT, EXPONENT_SIGN, POWER, BAD, STATES };

static enum state number(const char **text, uint32_t *seen) {
    enum state state = START;
    const char *p = *text;
    for (; *p && *p != ','; p++) {
        char c = *p;
        int digit = c >= '0' && c <= '9';
        seen[state]++;
        switch (state) {
        case START: state = digit ? INTEGER : c == '+' || c == '-' ? SIGN : c == '.' ? POINT : BAD; break;
        case SIGN: state = digit ? INTEGER : c == '.' ? POINT : BAD; break;
        case INTEGER: state = digit ? INTEGER : c == '.' ? FRACTION : c == 'e' ? EXPONENT : BAD; break;
        case POINT: state = digit ? FRACTION : BAD; break;
        case FRACTION: state = digit ? FRACTION : c == 'e' ? EXPONENT : BAD; break;
        case EXPONENT: state = digit ? POWER : c == '+' || c == '-' ? EXPONENT_SIGN : BAD; break;
        case EXPONENT_SIGN: state = digit ? POWER : BAD; break;
        case POWER: state = digit ? POWER : BAD; break;
        default: break;
        }
    }
    *text = *p ? p + 1 : p;
    return state;
}

static uint32_t coremix_round(void) {
    static char text[2048];
    static const char *const parts[] = {"5012", "-874", "+122", ".1234500", "-110.700", "+0.64400", "5.500e+3",
                                        "-.123e-2", "-87e+832", "+0.6e-12", "T0.3e-1F", "-T.T++Tq", "34.0e-T4"};
    rng_seed(66);
    size_t len = 0;
    while (len < 1900) len += (size_t)sprintf(text + len, "%s,", parts[rng() % 13]);
    struct cell *list = NULL;
    for (int i = 0; i < CELLS; i++) {
        cells[i] = (struct cell){list, (int16_t)(rng() & 0x7fff), (int16_t)i};
        list = &cells[i];
    }
    for (int i = 0; i < N; i++)
        for (int j = 0; j < N; j++) {
            ma[i][j] = (int16_t)(rng() & 0xff);
            mb[i][j] = (int16_t)(rng() & 0xff);
        }
    uint16_t crc = 0;
    for (int pass = 0; pass < 24; pass++) {
        uint32_t found = 0, ends[STATES] = {0}, seen[STATES] = {0};
        for (int i = 0; i < 40; i++) {
            struct cell *hit = list_find(list, cells[(i * 37 + pass) % CELLS].key);
            found += hit ? (uint32_t)hit->rank : 1000u;
            list = list_reverse(list);
        }
        list = list_sort(list, by_key);
        crc = crc16(found + (uint32_t)list->rank, crc);
        list = list_sort(list, by_rank);
        crc = matrix((int16_t)pass, crc);
        for (int again = 0; again < 10; again++)
            for (const char *p = text; *p;) ends[number(&p, seen)]++;
        for (int i = 0; i < STATES; i++) crc = crc16(ends[i] + seen[i], crc);
    }
    return crc;
}

int main(int argc, char **argv) {
    return bench_main(argc, argv, "coremix", 130, 0x000096f1u, coremix_round);
}
