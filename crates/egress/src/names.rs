//! Which made-up address stands for which name in this cell.
//!
//! The addresses are of ranges that nobody routes (RFC 2544 and RFC 5180, benchmarking), so an answer that leaks leads
//! nowhere. A name keeps its address as long as the cell lives: clients keep answers longer than they should.

use std::{
    collections::HashMap,
    net::{IpAddr, Ipv4Addr, Ipv6Addr},
};

use cella_contract::DomainName;

/// First made-up IPv4 address. The pool is `198.18.0.0/15`; its first address is the name server that the cell asks.
const FIRST_V4: Ipv4Addr = Ipv4Addr::new(198, 18, 0, 2);
/// Addresses of the IPv4 pool from there on.
const POOL: usize = (1 << 17) - 3;
/// First made-up IPv6 address. The pool is `2001:2::/48`.
const FIRST_V6: Ipv6Addr = Ipv6Addr::new(0x2001, 2, 0, 0, 0, 0, 0, 1);

/// The table of one cell.
#[derive(Debug)]
pub(crate) struct Names {
    numbers: HashMap<DomainName, u32>,
    names: Vec<DomainName>,
    most: usize,
}

// === impl Names ===

impl Names {
    /// A table for at most so many names. `first` get theirs at once, so that a flood of others cannot push them out.
    pub(crate) fn new<'a>(first: impl IntoIterator<Item = &'a DomainName>, most: usize) -> Self {
        let mut table = Self { numbers: HashMap::new(), names: Vec::new(), most: POOL };
        for name in first {
            table.number(name);
        }
        table.most = most.min(POOL).max(table.names.len());
        table
    }

    /// The addresses that stand for a name, new ones if it has none yet; `None` when the table is full.
    pub(crate) fn addresses(&mut self, name: &DomainName) -> Option<(Ipv4Addr, Ipv6Addr)> {
        let number = self.number(name)?;
        let v4 = Ipv4Addr::from_bits(FIRST_V4.to_bits() + number);
        let v6 = Ipv6Addr::from_bits(FIRST_V6.to_bits() + u128::from(number));
        Some((v4, v6))
    }

    /// The name that an address stands for.
    pub(crate) fn name(&self, address: IpAddr) -> Option<&DomainName> {
        let number = match address {
            IpAddr::V4(v4) => u128::from(v4.to_bits().checked_sub(FIRST_V4.to_bits())?),
            IpAddr::V6(v6) => v6.to_bits().checked_sub(FIRST_V6.to_bits())?,
        };
        self.names.get(usize::try_from(number).ok()?)
    }

    /// How many names it takes.
    pub(crate) fn most(&self) -> usize {
        self.most
    }

    fn number(&mut self, name: &DomainName) -> Option<u32> {
        if let Some(number) = self.numbers.get(name) {
            return Some(*number);
        }
        let number = u32::try_from(self.names.len()).ok().filter(|_| self.names.len() < self.most)?;
        self.numbers.insert(name.clone(), number);
        self.names.push(name.clone());
        Some(number)
    }
}

#[cfg(test)]
mod tests {
    use cella_contract::DomainName;

    use super::Names;

    fn name(text: &str) -> DomainName {
        DomainName::parse(text).expect(text)
    }

    #[test]
    fn a_name_keeps_its_addresses_and_both_lead_back() {
        let mut names = Names::new([], 10);
        let (v4, v6) = names.addresses(&name("a.example")).expect("room");
        names.addresses(&name("b.example")).expect("room");
        assert_eq!(names.addresses(&name("a.example")), Some((v4, v6)));
        assert_eq!(names.name(v4.into()), Some(&name("a.example")));
        assert_eq!(names.name(v6.into()), Some(&name("a.example")));
        for nobody in ["198.18.0.0", "198.18.0.1", "198.18.0.4", "1.1.1.1", "2001:2::3", "::1", "ffff::"] {
            assert_eq!(names.name(nobody.parse().expect(nobody)), None, "{nobody}");
        }
    }

    #[test]
    fn a_full_table_takes_no_more_and_loses_none() {
        let kept = name("kept.example");
        let mut names = Names::new([&kept], 2);
        assert!(names.addresses(&name("a.example")).is_some());
        assert_eq!(names.addresses(&name("b.example")), None);
        assert!(names.addresses(&kept).is_some() && names.addresses(&name("a.example")).is_some());
    }
}
