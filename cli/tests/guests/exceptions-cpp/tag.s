# The tag of all C++ exceptions. The linker of clang 22 wants it defined.
    .globl __cpp_exception
    .tagtype __cpp_exception i32
__cpp_exception:
