//! kumihimo
