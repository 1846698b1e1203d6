// A JSON reader into a DOM and a writer back to text, over a generated document: byte scanning,
// recursion, many small allocations, strtod-like number reading.
#include "../bench.h"

enum kind { NUL, BOOL, NUMBER, STRING, ARRAY, OBJECT };

struct node {
    enum kind kind;
    uint32_t count; // of children, or bytes of a string
    double number;
    char *text;         // of a string
    char *key;          // when a member of an object
    struct node *first; // child
    struct node *next;  // sibling
};

static const char *at;

static void skip(void) {
    while (*at == ' ' || *at == '\n' || *at == '\t' || *at == '\r') at++;
}

static unsigned hex(char c) {
    if (c >= '0' && c <= '9') return (unsigned)(c - '0');
    return (unsigned)((c | 32) - 'a' + 10);
}

static char *parse_string(uint32_t *len) {
    if (*at++ != '"') fail("string expected");
    size_t room = 0;
    for (const char *p = at; *p != '"'; p += *p == '\\' ? 2 : 1) room++;
    char *out = malloc(3 * room + 1), *to = out;
    while (*at != '"') {
        char c = *at++;
        if (c == '\\') {
            c = *at++;
            if (c == 'n') c = '\n';
            else if (c == 't') c = '\t';
            else if (c == 'u') {
                unsigned u = hex(at[0]) << 12 | hex(at[1]) << 8 | hex(at[2]) << 4 | hex(at[3]);
                at += 4;
                if (u >= 0x800) {
                    *to++ = (char)(0xe0 | u >> 12);
                    *to++ = (char)(0x80 | (u >> 6 & 63));
                    c = (char)(0x80 | (u & 63));
                } else if (u >= 0x80) {
                    *to++ = (char)(0xc0 | u >> 6);
                    c = (char)(0x80 | (u & 63));
                } else c = (char)u;
            }
        }
        *to++ = c;
    }
    at++;
    *to = 0;
    *len = (uint32_t)(to - out);
    return out;
}

static double parse_number(void) {
    int negative = *at == '-';
    at += negative;
    double value = 0;
    while (*at >= '0' && *at <= '9') value = value * 10 + (*at++ - '0');
    if (*at == '.') {
        double scale = 1;
        at++;
        while (*at >= '0' && *at <= '9') {
            value = value * 10 + (*at++ - '0');
            scale *= 10;
        }
        value /= scale;
    }
    return negative ? -value : value;
}

static struct node *parse_value(void) {
    struct node *node = calloc(1, sizeof *node);
    skip();
    if (*at == '{' || *at == '[') {
        int object = *at++ == '{';
        node->kind = object ? OBJECT : ARRAY;
        struct node **tail = &node->first;
        skip();
        while (*at != '}' && *at != ']') {
            char *key = NULL;
            uint32_t len;
            if (object) {
                key = parse_string(&len);
                skip();
                if (*at++ != ':') fail("colon expected");
            }
            *tail = parse_value();
            (*tail)->key = key;
            tail = &(*tail)->next;
            node->count++;
            skip();
            if (*at == ',') {
                at++;
                skip();
            }
        }
        at++;
    } else if (*at == '"') {
        node->kind = STRING;
        node->text = parse_string(&node->count);
    } else if (!strncmp(at, "null", 4)) {
        at += 4;
    } else if (!strncmp(at, "true", 4) || !strncmp(at, "false", 5)) {
        node->kind = BOOL;
        node->number = *at == 't';
        at += *at == 't' ? 4 : 5;
    } else {
        node->kind = NUMBER;
        node->number = parse_number();
    }
    return node;
}

static void release(struct node *node) {
    while (node) {
        struct node *next = node->next;
        release(node->first);
        free(node->text);
        free(node->key);
        free(node);
        node = next;
    }
}

static char *out;

static void put(const char *s) {
    while (*s) *out++ = *s++;
}

static void write_string(const char *s) {
    static const char digits[] = "0123456789abcdef";
    *out++ = '"';
    for (; *s; s++) {
        unsigned char c = (unsigned char)*s;
        if (c == '"' || c == '\\') {
            *out++ = '\\';
            *out++ = (char)c;
        } else if (c == '\n') put("\\n");
        else if (c == '\t') put("\\t");
        else if (c >= 0xe0) {
            unsigned u = (c & 15u) << 12 | ((unsigned char)s[1] & 63u) << 6 | ((unsigned char)s[2] & 63u);
            s += 2;
            put("\\u");
            for (int shift = 12; shift >= 0; shift -= 4) *out++ = digits[u >> shift & 15];
        } else *out++ = (char)c;
    }
    *out++ = '"';
}

static void write_number(double value) {
    if (value < 0) {
        *out++ = '-';
        value = -value;
    }
    uint64_t thousandths = (uint64_t)(value * 1000 + 0.5);
    uint64_t whole = thousandths / 1000, part = thousandths % 1000;
    char digits[24], *d = digits;
    do *d++ = (char)('0' + whole % 10);
    while (whole /= 10);
    while (d > digits) *out++ = *--d;
    if (part) {
        *out++ = '.';
        *out++ = (char)('0' + part / 100);
        *out++ = (char)('0' + part / 10 % 10);
        *out++ = (char)('0' + part % 10);
    }
}

static void write_value(const struct node *node) {
    switch (node->kind) {
    case NUL: put("null"); break;
    case BOOL: put(node->number ? "true" : "false"); break;
    case NUMBER: write_number(node->number); break;
    case STRING: write_string(node->text); break;
    default:
        *out++ = node->kind == OBJECT ? '{' : '[';
        for (const struct node *child = node->first; child; child = child->next) {
            if (child != node->first) *out++ = ',';
            if (child->key) {
                write_string(child->key);
                *out++ = ':';
            }
            write_value(child);
        }
        *out++ = node->kind == OBJECT ? '}' : ']';
    }
}

static const struct node *member(const struct node *object, const char *key) {
    for (const struct node *child = object->first; child; child = child->next)
        if (!strcmp(child->key, key)) return child;
    fail("no such member");
    return NULL;
}

#define RECORDS 1200
static char document[RECORDS * 400], again[RECORDS * 400];

static void generate(void) {
    static const char *const words[] = {"alpha", "be\\\"ta", "gamma\\n", "del\\u20acta", "epsilon", "ze\\tta"};
    char *p = document;
    rng_seed(8259);
    p += sprintf(p, "[");
    for (int i = 0; i < RECORDS; i++) {
        uint32_t r[6]; // drawn one by one: the order of arguments is the compiler's affair
        for (int k = 0; k < 6; k++) r[k] = rng() >> 3;
        p += sprintf(p, "%s{\"id\":%d,\"name\":\"%s %s\",\"ok\":%s,\"none\":null,\"at\":{\"x\":%s%u.%03u,\"y\":%u},\"tags\":[",
                     i ? "," : "", i, words[r[0] % 6], words[r[1] % 6], r[2] & 1 ? "true" : "false",
                     r[2] & 2 ? "-" : "", r[3] % 9000, r[4] % 899 + 101, r[5] % 100000);
        for (int k = (int)(rng() % 8); k > 0; k--)
            p += sprintf(p, "\"%s\"%s", words[rng() % 6], k > 1 ? "," : "");
        p += sprintf(p, "]}");
    }
    sprintf(p, "]");
}

static uint32_t json_round(void) {
    if (!document[0]) generate();
    at = document;
    struct node *root = parse_value();
    double sum_y = 0;
    uint32_t tags = 0;
    for (const struct node *record = root->first; record; record = record->next) {
        sum_y += member(member(record, "at"), "y")->number;
        tags += member(record, "tags")->count;
    }
    out = again;
    write_value(root);
    *out = 0;
    release(root);
    uint32_t sum = fold(fold_f64(0, sum_y), tags);
    return fold(sum, fold_bytes(0, again, (size_t)(out - again)));
}

int main(int argc, char **argv) { return bench_main(argc, argv, "json", 400, 0x6ae0e502u, json_round); }
