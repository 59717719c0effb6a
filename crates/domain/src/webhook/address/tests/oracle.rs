//! Compares the table with a second implementation of the rules, which uses arithmetic instead of a table.

use std::net::{Ipv4Addr, Ipv6Addr};

use proptest::prelude::*;

use super::super::registry::RANGES;
use super::*;

fn v4_is_public(address: Ipv4Addr) -> bool {
    let [a, b, c, d] = address.octets();
    if (a, b, c) == (192, 0, 0) {
        return d == 9 || d == 10;
    }
    let private = a == 10 || (a == 172 && b / 16 == 1) || (a == 192 && b == 168);
    let local = a == 0 || a == 127 || (a == 169 && b == 254) || (a == 100 && b / 64 == 1);
    let documentation = matches!((a, b, c), (192, 0, 2) | (198, 51, 100) | (203, 0, 113));
    let other = (a, b, c) == (192, 88, 99) || (a == 198 && b / 2 == 9) || a >= 224;
    !(private || local || documentation || other)
}

/// Returns whether an address within `2001::/23` is public.
fn protocol_assignment_is_public(bits: u128) -> bool {
    let second = (bits >> 96) as u16;
    let anycast = (bits >> 3) == (0x2001_0001_u128 << 93) && matches!(bits as u8, 1..=3);
    anycast || second == 3 || (bits >> 80) == 0x2001_0004_0112 || (0x20..0x40).contains(&second)
}

fn v6_is_public(address: Ipv6Addr) -> bool {
    let bits = address.to_bits();
    let first = (bits >> 112) as u16;
    let isatap = matches!((bits >> 32) as u32, 0x0000_5efe | 0x0200_5efe);
    if isatap || !(0x2000..0x4000).contains(&first) || first == 0x2002 {
        return false;
    }
    match first {
        0x2001 if (bits >> 96) as u16 == 0xdb8 => false,
        0x2001 if ((bits >> 96) as u16) < 0x200 => protocol_assignment_is_public(bits),
        0x3fff => (bits >> 108) as u8 & 0xf != 0,
        _ => true,
    }
}

fn is_public(address: IpAddr) -> bool {
    match address {
        IpAddr::V4(v4) => v4_is_public(v4),
        IpAddr::V6(v6) => v6_is_public(v6),
    }
}

/// Generates any addresses, addresses near the edges of the rows, and addresses inside them.
fn addresses() -> impl Strategy<Value = IpAddr> {
    let near =
        (0..RANGES.len(), any::<u128>(), 0_u32..128, -2_i8..=2).prop_map(|(row, noise, shift, step)| {
            let noise = noise >> shift;
            match RANGES[row].network.addr() {
                IpAddr::V4(v4) => {
                    let bits = (v4.to_bits() ^ (noise as u32)).wrapping_add_signed(step.into());
                    Ipv4Addr::from_bits(bits).into()
                }
                IpAddr::V6(v6) => {
                    Ipv6Addr::from_bits((v6.to_bits() ^ noise).wrapping_add_signed(step.into())).into()
                }
            }
        });
    let isatap = (any::<u64>(), any::<bool>(), any::<u32>()).prop_map(|(prefix, universal, v4)| {
        let identifier = if universal { 0x0200_5efe } else { 0x5efe_u128 };
        let bits = u128::from(prefix) << 64 | identifier << 32 | u128::from(v4);
        IpAddr::from(Ipv6Addr::from_bits(bits))
    });
    let unicast = any::<u128>().prop_map(|bits| IpAddr::from(Ipv6Addr::from_bits(bits >> 3 | 1 << 125)));
    prop_oneof![6 => near, 2 => any::<IpAddr>(), 1 => isatap, 1 => unicast]
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(20_000))]

    #[test]
    fn the_table_agrees_with_the_arithmetic(address in addresses()) {
        let checked = check_address(address, &AllowedNetworks::default());
        prop_assert_eq!(checked.is_ok(), is_public(address), "{:?}", checked);
    }

    #[test]
    fn an_allowed_network_allows_exactly_its_own_addresses(address in addresses(), other in addresses(), prefix in 0_u8..=128) {
        let bits = if other.is_ipv4() { prefix / 4 } else { prefix };
        let network = IpNet::new(other, bits).expect("prefix");
        let checked = check_address(address, &AllowedNetworks::new(vec![network]));
        prop_assert_eq!(checked.is_ok(), is_public(address) || network.contains(&address));
    }

    #[test]
    fn the_text_of_a_network_is_parsed_back_to_it(other in addresses(), prefix in 0_u8..=128) {
        let network = IpNet::new(other, if other.is_ipv4() { prefix / 4 } else { prefix }).expect("prefix");
        prop_assert_eq!(network.to_string().parse(), Ok(AllowedNetworks::new(vec![network])));
        prop_assert_eq!(other.to_string().parse(), Ok(AllowedNetworks::new(vec![IpNet::from(other)])));
    }
}

/// Checks one address of each IPv4 /16, and every address of the /24 blocks that contain smaller rows.
#[test]
fn the_table_agrees_with_the_arithmetic_over_all_of_ipv4() {
    let none = AllowedNetworks::default();
    let agree = |bits: u32| {
        let address = Ipv4Addr::from_bits(bits);
        assert_eq!(check_address(address.into(), &none).is_ok(), v4_is_public(address), "{address}");
    };
    (0..1_u32 << 16).for_each(|upper| agree(upper << 16 | 0x1234));
    for walked in [[192, 0, 0, 0], [192, 88, 99, 0], [198, 51, 100, 0], [255, 255, 255, 0]] {
        let first = u32::from_be_bytes(walked);
        (0..=255).for_each(|last| agree(first | last));
    }
}
