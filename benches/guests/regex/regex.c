// Regular expressions over a generated log: patterns compiled to a small program, run by a
// breadth-first (Thompson) machine, and again by a backtracking one; both must agree.
#include "../bench.h"

enum op { CHAR, ANY, CLASS, SPLIT, JUMP, MATCH };

struct insn {
    enum op op;
    uint8_t c;
    uint16_t x, y;
    uint32_t set[8];
};

static struct insn prog[128];
static uint32_t prog_len;
static const char *pattern;

static uint32_t emit(enum op op) {
    memset(&prog[prog_len], 0, sizeof prog[0]);
    prog[prog_len].op = op;
    return prog_len++;
}

static void set_range(uint32_t *set, unsigned lo, unsigned hi) {
    for (unsigned c = lo; c <= hi; c++) set[c >> 5] |= 1u << (c & 31);
}

static void open_gap(uint32_t at) {
    memmove(&prog[at + 1], &prog[at], (prog_len - at) * sizeof prog[0]);
    prog_len++;
    for (uint32_t i = at + 1; i < prog_len; i++)
        if (prog[i].op == SPLIT || prog[i].op == JUMP) {
            if (prog[i].x >= at) prog[i].x++;
            if (prog[i].op == SPLIT && prog[i].y >= at) prog[i].y++;
        }
    memset(&prog[at], 0, sizeof prog[0]);
}

static void parse_alternatives(void);

static void parse_atom(void) {
    uint32_t start = prog_len;
    char c = *pattern++;
    if (c == '(') {
        parse_alternatives();
        pattern++; // ')'
    } else if (c == '.') emit(ANY);
    else if (c == '[') {
        struct insn *i = &prog[emit(CLASS)];
        int invert = *pattern == '^';
        pattern += invert;
        for (; *pattern != ']'; pattern++) {
            unsigned lo = (unsigned char)*pattern, hi = lo;
            if (pattern[1] == '-' && pattern[2] != ']') hi = (unsigned char)*(pattern += 2);
            set_range(i->set, lo, hi);
        }
        pattern++;
        if (invert)
            for (int k = 0; k < 8; k++) i->set[k] = ~i->set[k];
    } else if (c == '\\' && *pattern == 'd') {
        pattern++;
        set_range(prog[emit(CLASS)].set, '0', '9');
    } else {
        if (c == '\\') c = *pattern++;
        prog[emit(CHAR)].c = (uint8_t)c;
    }
    for (; *pattern == '*' || *pattern == '+' || *pattern == '?'; pattern++) {
        if (*pattern == '+') {
            uint32_t i = emit(SPLIT);
            prog[i].x = (uint16_t)start, prog[i].y = (uint16_t)prog_len;
            continue;
        }
        open_gap(start);
        prog[start].op = SPLIT;
        prog[start].x = (uint16_t)(start + 1);
        if (*pattern == '*') prog[emit(JUMP)].x = (uint16_t)start;
        prog[start].y = (uint16_t)prog_len;
    }
}

static void parse_alternatives(void) {
    uint32_t start = prog_len;
    while (*pattern && *pattern != ')' && *pattern != '|') parse_atom();
    if (*pattern == '|') {
        pattern++;
        open_gap(start);
        uint32_t jump = emit(JUMP);
        prog[start].op = SPLIT;
        prog[start].x = (uint16_t)(start + 1), prog[start].y = (uint16_t)prog_len;
        parse_alternatives();
        prog[jump].x = (uint16_t)prog_len;
    }
}

static void compile(const char *text) {
    pattern = text;
    prog_len = 0;
    parse_alternatives();
    emit(MATCH);
}

static int accepts(const struct insn *i, uint8_t c) {
    return i->op == ANY || (i->op == CHAR && i->c == c) || (i->op == CLASS && i->set[c >> 5] >> (c & 31) & 1);
}

struct threads {
    uint16_t pcs[128];
    uint32_t len;
};

static uint32_t mark[128], generation;

static void add_thread(struct threads *list, uint32_t pc) {
    if (mark[pc] == generation) return;
    mark[pc] = generation;
    switch (prog[pc].op) {
    case JUMP: add_thread(list, prog[pc].x); break;
    case SPLIT:
        add_thread(list, prog[pc].x);
        add_thread(list, prog[pc].y);
        break;
    default: list->pcs[list->len++] = (uint16_t)pc;
    }
}

// Unanchored: is there a match anywhere in the line?
static int breadth_first(const char *line) {
    static struct threads a, b;
    struct threads *now = &a, *then = &b;
    now->len = 0;
    generation++;
    add_thread(now, 0);
    for (;; line++) {
        then->len = 0;
        generation++;
        for (uint32_t i = 0; i < now->len; i++) {
            const struct insn *insn = &prog[now->pcs[i]];
            if (insn->op == MATCH) return 1;
            if (*line && accepts(insn, (uint8_t)*line)) add_thread(then, now->pcs[i] + 1u);
        }
        if (!*line) return 0;
        add_thread(then, 0);
        struct threads *t = now;
        now = then;
        then = t;
    }
}

static int backtrack(uint32_t pc, const char *line) {
    for (;;) {
        const struct insn *i = &prog[pc];
        switch (i->op) {
        case MATCH: return 1;
        case JUMP: pc = i->x; break;
        case SPLIT:
            if (backtrack(i->x, line)) return 1;
            pc = i->y;
            break;
        default:
            if (!*line || !accepts(i, (uint8_t)*line)) return 0;
            line++, pc++;
        }
    }
}

#define LINES 600
static char lines[LINES][96];

static void generate(void) {
    static const char *const verbs[] = {"GET", "PUT", "POST", "HEAD"};
    static const char *const paths[] = {"index.html", "a/b/c", "img/logo.png", "api/v1/items", "x"};
    rng_seed(1968);
    for (int i = 0; i < LINES; i++) {
        uint32_t r[10]; // drawn one by one: the order of arguments is the compiler's affair
        for (int k = 0; k < 10; k++) r[k] = rng() >> 3;
        sprintf(lines[i], "%u.%u.%u.%u %s /%s?id=%u %u %ums user%u@host%u.example", r[0] % 256, r[1] % 256, r[2] % 256,
                r[3] % 256, verbs[r[4] % 4], paths[r[4] / 4 % 5], r[5] % 10000, 200 + r[6] % 4 * 101, r[7] % 3000,
                r[8] % 50, r[9] % 9);
    }
}

static uint32_t regex_round(void) {
    static const char *const patterns[] = {
        "(GET|POST) /[a-z]+\\.(html|png)", "\\d+\\.\\d+\\.1\\d*\\.\\d+ ", "id=\\d?\\d?\\d (200|301) ",
        "[a-z]+[1-4]\\d@host[^5-9]\\.", " [12]\\d\\d\\dms .*7@", "(a|b|c)/(a|b|c)/.*(9|8)+ms",
        ".*=.*(55|66).*",
    };
    if (!lines[0][0]) generate();
    uint32_t sum = 0;
    for (size_t p = 0; p < sizeof patterns / sizeof *patterns; p++) {
        compile(patterns[p]);
        for (uint32_t i = 0; i < LINES; i++) {
            int hit = breadth_first(lines[i]), other = 0;
            for (const char *s = lines[i]; *s && !other; s++) other = backtrack(0, s);
            if (hit != other) fail("the two machines disagree");
            sum = fold(sum, hit ? i : p);
        }
    }
    return sum;
}

int main(int argc, char **argv) { return bench_main(argc, argv, "regex", 19, 0xcc7574f7u, regex_round); }
