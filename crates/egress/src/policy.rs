//! What the contract's grants allow. No I/O: the broker asks, and can go on only with what it is given here.

use std::{
    collections::BTreeSet,
    net::{IpAddr, SocketAddr},
};

use cella_contract::{DomainName, EgressGrant, EgressHost};

use crate::{
    denial::Denial,
    guard::{self, Kind},
};

/// The grants of one cell.
#[derive(Clone, Debug)]
pub struct Policy {
    grants: Vec<EgressGrant>,
    /// Every name has an address, so that it is seen at which port it is wanted.
    watching: bool,
}

/// Whom a cell means.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Target {
    /// It asked for this name and connected to the answer.
    Name(DomainName),
    /// It connected to this address, written out.
    Address(IpAddr),
}

/// Leave to reach a target at a port. Only [`Policy::connect`] makes one.
#[derive(Clone, Debug)]
pub struct Permit {
    target: Target,
    port: u16,
    grant: EgressGrant,
}

/// An address that may be dialled for a permit. Only [`Policy::vet`] makes one.
#[derive(Clone, Copy, Debug)]
pub struct Vetted(SocketAddr);

/// The TCP ports at which a cell with these grants must be listened to.
#[must_use]
pub fn ports(grants: &[EgressGrant]) -> BTreeSet<u16> {
    grants.iter().map(|grant| grant.port.get()).collect()
}

// === impl Policy ===

impl Policy {
    /// The policy of these grants.
    #[must_use]
    pub fn new(grants: Vec<EgressGrant>) -> Self {
        Self { grants, watching: false }
    }

    /// A policy that grants nothing and answers for every name: whoever gets it learns which host is wanted at which port,
    /// and the cell learns nothing, because the addresses are made up and nothing is dialled.
    #[must_use]
    pub fn watching() -> Self {
        Self { grants: Vec::new(), watching: true }
    }

    /// The TCP ports that must be listened to.
    #[must_use]
    pub fn ports(&self) -> BTreeSet<u16> {
        ports(&self.grants)
    }

    /// The names written out.
    pub fn names(&self) -> impl Iterator<Item = &DomainName> {
        self.grants.iter().filter_map(|grant| match &grant.host {
            EgressHost::Name(name) => Some(name),
            _ => None,
        })
    }

    /// True when the name may be known to exist: some port of it is granted.
    #[must_use]
    pub fn knows(&self, name: &DomainName) -> bool {
        self.watching || self.grants.iter().any(|grant| grant.host.covers_name(name))
    }

    /// True for [`Policy::watching`].
    #[must_use]
    pub(crate) fn is_watching(&self) -> bool {
        self.watching
    }

    /// May the cell connect there?
    ///
    /// # Errors
    /// Why not.
    pub fn connect(&self, target: Target, port: u16) -> Result<Permit, Denial> {
        let covers = |grant: &&EgressGrant| match &target {
            Target::Name(name) => grant.host.covers_name(name),
            Target::Address(address) => grant.host.covers_address(*address),
        };
        let found = self.grants.iter().filter(|grant| grant.port.get() == port).find(covers).cloned();
        if let Some(grant) = found {
            return Ok(Permit { target, port, grant });
        }
        Err(match target {
            Target::Name(name) if self.knows(&name) && !self.watching => Denial::Port { name, port },
            Target::Name(name) => Denial::Name { name },
            Target::Address(address) if guard::kind(address) == Some(Kind::Made) => {
                Denial::NobodysAddress { address }
            }
            Target::Address(address) => Denial::Address { address, port },
        })
    }

    /// May this address be dialled for the permit? `own` says that it is one of this machine's.
    ///
    /// A grant of a name does not lift the guard, or whoever answers for the name could lead it anywhere. The same address
    /// and port written out in a grant does; for a metadata service only the address itself, not a network around it.
    ///
    /// # Errors
    /// Why not.
    pub fn vet(&self, permit: &Permit, address: IpAddr, own: bool) -> Result<Vetted, Denial> {
        let dialled = Vetted(SocketAddr::new(address, permit.port));
        if let Target::Address(meant) = permit.target
            && meant != address
        {
            return Err(Denial::Address { address, port: permit.port });
        }
        let Some(kind) = guard::kind(address).or_else(|| own.then_some(Kind::Own)) else {
            return Ok(dialled);
        };
        let lifted = self.grants.iter().filter(|grant| grant.port.get() == permit.port).any(|grant| {
            let exact = matches!(grant.host, EgressHost::Address(granted) if granted == address);
            exact || (!kind.needs_own_grant() && grant.host.covers_address(address))
        });
        if lifted && !kind.is_final() { Ok(dialled) } else { Err(Denial::Guarded { address, kind }) }
    }
}

// === impl Permit ===

impl Permit {
    /// Whom it is for.
    #[must_use]
    pub fn target(&self) -> &Target {
        &self.target
    }

    /// At which port.
    #[must_use]
    pub fn port(&self) -> u16 {
        self.port
    }

    /// The grant that gave it.
    #[must_use]
    pub fn grant(&self) -> &EgressGrant {
        &self.grant
    }

    /// The name that the client must mean, if it was a name.
    #[must_use]
    pub fn name(&self) -> Option<&DomainName> {
        match &self.target {
            Target::Name(name) => Some(name),
            Target::Address(_) => None,
        }
    }
}

// === impl Vetted ===

impl Vetted {
    /// The address.
    #[must_use]
    pub fn address(&self) -> SocketAddr {
        self.0
    }
}

#[cfg(test)]
mod tests {
    use std::net::IpAddr;

    use cella_contract::DomainName;

    use super::{Policy, Target};
    use crate::{denial::Denial, guard::Kind};

    fn policy(grants: &[&str]) -> Policy {
        Policy::new(grants.iter().map(|grant| grant.parse().expect(grant)).collect())
    }

    fn named(text: &str) -> Target {
        Target::Name(DomainName::parse(text).expect(text))
    }

    fn at(text: &str) -> IpAddr {
        text.parse().expect(text)
    }

    #[test]
    fn a_name_is_reached_at_its_port_and_no_other() {
        let policy = policy(&["api.example:443", "*.wild.example:80"]);
        assert!(policy.connect(named("api.example"), 443).is_ok());
        assert!(policy.connect(named("x.wild.example"), 80).is_ok());
        assert!(matches!(policy.connect(named("api.example"), 80), Err(Denial::Port { .. })));
        assert!(matches!(policy.connect(named("wild.example"), 80), Err(Denial::Name { .. })));
        assert!(matches!(policy.connect(named("evil.example"), 443), Err(Denial::Name { .. })));
    }

    #[test]
    fn who_only_watches_answers_for_every_name_and_permits_nothing() {
        let policy = Policy::watching();
        let name = DomainName::parse("api.example").expect("a name");
        assert!(policy.knows(&name));
        assert!(matches!(policy.connect(Target::Name(name), 443), Err(Denial::Name { .. })));
        let address = policy.connect(Target::Address(at("203.0.113.7")), 443);
        assert!(matches!(address, Err(Denial::Address { .. })));
    }

    #[test]
    fn an_address_needs_a_grant_of_its_own() {
        let policy = policy(&["api.example:443", "10.0.0.5:5432"]);
        assert!(policy.connect(Target::Address(at("10.0.0.5")), 5432).is_ok());
        let refused = policy.connect(Target::Address(at("1.1.1.1")), 443);
        assert!(matches!(refused, Err(Denial::Address { .. })));
        let stale = policy.connect(Target::Address(at("198.18.0.9")), 443);
        assert!(matches!(stale, Err(Denial::NobodysAddress { .. })));
    }

    #[test]
    fn a_name_that_leads_inside_is_refused_unless_the_address_is_written_out() {
        let only = policy(&["api.example:443"]);
        let both = policy(&["api.example:443", "10.0.0.5:443", "10.1.0.0/16:443", "10.0.0.6:80"]);
        let vet = |policy: &Policy, address: &str, own: bool| {
            let permit = policy.connect(named("api.example"), 443).expect("a permit");
            policy.vet(&permit, at(address), own).map(|vetted| vetted.address().ip())
        };
        assert_eq!(vet(&only, "203.0.113.9", false), Ok(at("203.0.113.9")));
        assert!(matches!(vet(&only, "10.0.0.5", false), Err(Denial::Guarded { kind: Kind::Private, .. })));
        assert!(matches!(vet(&only, "203.0.113.9", true), Err(Denial::Guarded { kind: Kind::Own, .. })));
        assert!(vet(&both, "10.0.0.5", false).is_ok());
        assert!(vet(&both, "10.1.2.3", false).is_ok());
        assert!(vet(&both, "10.0.0.6", false).is_err(), "granted for another port");
    }

    #[test]
    fn a_network_does_not_grant_the_metadata_service_and_nothing_grants_nobodys_addresses() {
        let policy = policy(&["api.example:80", "169.254.0.0/16:80", "198.18.0.0/15:80"]);
        let permit = policy.connect(named("api.example"), 80).expect("a permit");
        assert!(policy.vet(&permit, at("169.254.1.1"), false).is_ok());
        assert!(policy.vet(&permit, at("169.254.169.254"), false).is_err());
        assert!(policy.vet(&permit, at("198.18.0.1"), false).is_err());
    }

    #[test]
    fn a_permit_for_one_address_dials_no_other() {
        let policy = policy(&["203.0.113.7:80"]);
        let permit = policy.connect(Target::Address(at("203.0.113.7")), 80).expect("a permit");
        assert!(policy.vet(&permit, at("203.0.113.7"), false).is_ok());
        assert!(policy.vet(&permit, at("203.0.113.8"), false).is_err());
    }
}
