//! Bytes and values of the external shuffle protocol of Apache Spark.
