//! Paths below a granted directory: both resolvers behind one function.
