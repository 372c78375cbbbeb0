//! The door from outside: local servers, fake resolvers, our own certificate authority.
#![expect(clippy::disallowed_methods, reason = "tests build their own fixtures")]

mod door {
    mod credentials;
    mod limits;
    mod names;
    mod proxy;
    mod redirects;
    mod support;
    mod tls;
}
