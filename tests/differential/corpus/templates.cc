// SPDX-License-Identifier: MIT
// templates: inline functions, templates and their static variables, each in a COMDAT group.
// expected: each group is loaded once, and is reached.
extern "C" int outside(int);

template <int N> struct counter {
    static int count;
    static int next()
    {
        static int calls = N;
        return count += outside(calls++);
    }
};
template <int N> int counter<N>::count = N;

template <typename T> __attribute__((noinline)) T largest(T a, T b)
{
    return a < b ? b : a;
}
inline __attribute__((noinline)) long twice(long x)
{
    return 2 * x;
}
inline int shared = 12;
template <typename T> const char *name_of = "unknown";
template <> const char *name_of<int> = "int";

int all(int x)
{
    auto add = [x](int y) { return x + y + shared; };
    return counter<1>::next() + counter<2>::next() + counter<7>::count + largest(x, 5) +
           (int)largest<long>(x, twice(x)) + (int)largest(x * 1.5, 3.0) + add(x) + name_of<int>[0] + name_of<long>[1];
}
