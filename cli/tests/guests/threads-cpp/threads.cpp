// What C++ programs do with exceptions in several threads at the same time: each thread prints nothing, counts what
// happened, and the first one prints the sums. With one argument a thread throws what must not leave a function, with
// two what nothing catches.
#include <atomic>
#include <cstdio>
#include <cstdlib>
#include <exception>
#include <new>
#include <pthread.h>
#include <stdexcept>
#include <string>

static constexpr int THREADS = 8;
static constexpr int ROUNDS = 20000;

static std::atomic<int> alive{0};

struct Counted {
    Counted() { alive++; }
    Counted(const Counted &) { alive++; }
    ~Counted() { alive--; }
};

struct Base {
    virtual ~Base() = default;
    virtual int number() const { return 1; }
};
struct Left : virtual Base {
    int number() const override { return 2; }
};
struct Right : virtual Base {
    int number() const override { return 3; }
};
struct Both : Left, Right {
    Counted counted;
    int own;
    explicit Both(int n) : own(n) {}
    int number() const override { return own; }
};

struct Result {
    long logic = 0, runtime = 0, numbers = 0, both = 0, text = 0, others = 0, rethrown = 0, nested = 0, kept = 0;
    bool right = true;
};

[[gnu::noinline]] static void raise(int thread, int round) {
    Counted here;
    switch (round % 6) {
    case 0: throw std::out_of_range("range " + std::to_string(thread));
    case 1: throw std::runtime_error("a text that is too long for the small buffer " + std::to_string(round));
    case 2: throw thread * 1000000 + round;
    case 3: throw Both(thread * 1000000 + round);
    case 4: throw "text";
    default: throw std::bad_alloc();
    }
}

[[gnu::noinline]] static void deeper(int thread, int round, int frames) {
    Counted here;
    if (frames == 0)
        raise(thread, round);
    else
        deeper(thread, round, frames - 1);
}

[[gnu::noinline]] static void sort_out(Result &result, int thread, int round) {
    try {
        Counted outer;
        deeper(thread, round, round % 7);
        result.right = false;
    } catch (const std::logic_error &e) {
        result.logic++;
        result.right &= std::string("range ") + std::to_string(thread) == e.what();
    } catch (const std::runtime_error &e) {
        result.runtime++;
        result.right &= std::string(e.what()).ends_with(" " + std::to_string(round));
    } catch (int n) {
        result.numbers++;
        result.right &= n == thread * 1000000 + round;
    } catch (const Right &r) {
        result.both++;
        result.right &= r.number() == thread * 1000000 + round;
    } catch (const char *) {
        result.text++;
    } catch (...) {
        result.others++;
    }
}

// Throws it again from another function, and while another one is handled.
[[gnu::noinline]] static void again(Result &result, int thread, int round) {
    try {
        try {
            deeper(thread, 3, 2);
        } catch (const Left &) {
            try {
                throw std::runtime_error("inner");
            } catch (const std::exception &) {
                result.nested++;
            }
            throw;
        }
    } catch (const Base &b) {
        result.rethrown++;
        result.right &= b.number() == thread * 1000000 + 3;
    }
    std::exception_ptr kept;
    try {
        deeper(thread, 2, round % 3);
    } catch (...) {
        kept = std::current_exception();
    }
    for (int i = 0; i < 2; i++) {
        try {
            std::rethrow_exception(kept);
        } catch (int n) {
            result.kept++;
            result.right &= n == thread * 1000000 + 2;
        }
    }
    result.right &= std::uncaught_exceptions() == 0;
}

struct Thread {
    pthread_t id;
    int number;
    Result result;
};

static void *run(void *argument) {
    Thread &thread = *static_cast<Thread *>(argument);
    for (int round = 0; round < ROUNDS; round++) {
        sort_out(thread.result, thread.number, round);
        if (round % 10 == 0)
            again(thread.result, thread.number, round);
    }
    return nullptr;
}

static void *lose(void *) {
    throw std::runtime_error("lost");
}

static void *keep_in(void *argument) noexcept {
    return lose(argument);
}

int main(int argc, char **) {
    if (argc > 1) {
        std::set_terminate([] {
            std::puts("terminate");
            std::fflush(stdout);
            std::_Exit(3);
        });
        pthread_t id;
        pthread_create(&id, nullptr, argc == 2 ? keep_in : lose, nullptr);
        pthread_join(id, nullptr);
        return 1;
    }
    static Thread threads[THREADS];
    for (int i = 0; i < THREADS; i++) {
        threads[i].number = i + 1;
        if (pthread_create(&threads[i].id, nullptr, run, &threads[i]) != 0)
            return 1;
    }
    Thread own;
    own.number = 0;
    run(&own);
    Result sum = own.result;
    for (Thread &thread : threads) {
        pthread_join(thread.id, nullptr);
        const Result &r = thread.result;
        sum.logic += r.logic;
        sum.runtime += r.runtime;
        sum.numbers += r.numbers;
        sum.both += r.both;
        sum.text += r.text;
        sum.others += r.others;
        sum.rethrown += r.rethrown;
        sum.nested += r.nested;
        sum.kept += r.kept;
        sum.right &= r.right;
    }
    std::printf("logic %ld\nruntime %ld\nnumbers %ld\nboth %ld\ntext %ld\nothers %ld\n", sum.logic, sum.runtime,
                sum.numbers, sum.both, sum.text, sum.others);
    std::printf("rethrown %ld\nnested %ld\nkept %ld\n", sum.rethrown, sum.nested, sum.kept);
    std::printf("alive %d\n%s\n", alive.load(), sum.right ? "right" : "wrong");
}
