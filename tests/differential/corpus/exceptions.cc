// SPDX-License-Identifier: MIT
// exceptions: try, catch and cleanups: .gcc_except_table, a reference to the personality, types to catch.
// expected: tables are relocated as any data; .eh_frame is left out.
extern void risky(int);
extern void log(const char *);
struct error {
    int code;
};
struct guard {
    ~guard() { log("left"); }
};

int attempt(int x)
{
    guard g;
    try {
        risky(x);
    } catch (const error &e) {
        return e.code;
    } catch (int i) {
        return i;
    } catch (...) {
        throw error{ x };
    }
    return 0;
}
struct lazy {
    lazy() { risky(1); }
    int value = 4;
};
lazy &instance()
{
    static lazy only;
    return only;
}
