//! One execution in one process, inside the jail.
