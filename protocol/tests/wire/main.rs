//! Tests of the bytes: what Spark has written and read (`vectors`), what we write ourselves (`round_trip`), and
//! the document against the code (`readme`).

#[cfg(test)]
mod readme;
#[cfg(test)]
mod round_trip;
#[cfg(test)]
mod vectors;
