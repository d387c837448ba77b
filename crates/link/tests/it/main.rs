//! Links over HTTP against a scripted legacy server.
//! (`cfg(test)` tells the lints that these are tests.)

#[cfg(test)]
mod lanes;
#[cfg(test)]
mod legacy_server;
#[cfg(test)]
mod standing;
#[cfg(test)]
mod trouble;
