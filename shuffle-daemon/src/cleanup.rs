//! Removes what no application owns any more, and nothing else.
//!
//! Nothing is remembered between looks: [`scan`] says what lies below the roots, the registry and
//! the table of Pods say who may own it, [`policy`] decides, [`remove`] deletes. So events may be
//! lost and the daemon may die at any step; the next look comes to the same end. [`keeper`] drives
//! them: a [`look`] every few seconds, and before anything is deleted a fresh list of this node's
//! Pods, with which the decision is made again.

pub mod keeper;
pub mod look;
pub mod plan;
pub mod policy;
pub mod remove;
pub mod scan;
