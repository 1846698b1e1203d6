//! Guest pointer → checked slice; the only such place.
