use alloy_sol_types::{SolCall, SolError, SolEvent, SolInterface};
use escrow::abi::Escrow;
use serde_json::Value;
use std::{collections::BTreeSet, path::PathBuf};

fn committed(name: &str) -> Vec<Value> {
    let path = PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("../../contracts/artifacts").join(name);
    serde_json::from_str(&std::fs::read_to_string(path).unwrap()).unwrap()
}

/// `uint256`, or `(address,uint256)[]` for an array of structs.
fn canonical(parameter: &Value) -> String {
    let kind = parameter["type"].as_str().unwrap();
    match kind.strip_prefix("tuple") {
        Some(suffix) => format!("({}){suffix}", list(&parameter["components"])),
        None => kind.to_owned(),
    }
}

fn list(parameters: &Value) -> String {
    parameters.as_array().unwrap().iter().map(canonical).collect::<Vec<_>>().join(",")
}

fn signatures(abi: &[Value], kind: &str) -> BTreeSet<String> {
    abi.iter()
        .filter(|item| item["type"] == kind)
        .map(|item| format!("{}({})", item["name"].as_str().unwrap(), list(&item["inputs"])))
        .collect()
}

fn selectors(signatures: &BTreeSet<String>) -> BTreeSet<[u8; 4]> {
    signatures.iter().map(|s| alloy_primitives::keccak256(s)[..4].try_into().unwrap()).collect()
}

#[test]
fn functions_are_the_contracts() {
    let functions = signatures(&committed("Escrow.abi.json"), "function");
    // EIP-5267, which the contract inherits and nothing here reads.
    let functions = functions.into_iter().filter(|f| f != "eip712Domain()").collect();
    assert_eq!(selectors(&functions), Escrow::EscrowCalls::selectors().collect());
}

#[test]
fn return_types_are_the_contracts() {
    let abi = committed("Escrow.abi.json");
    let outputs =
        |name: &str| list(&abi.iter().find(|i| i["name"] == name && i["type"] == "function").unwrap()["outputs"]);
    assert_eq!(outputs("executed"), "bool");
    assert_eq!(outputs("balanceOf"), "uint256");
    assert_eq!(outputs("capOf"), "uint256,uint256");
    assert_eq!(outputs("verifyingKey"), "bytes");
    assert_eq!(outputs("epoch"), "uint64");
    assert_eq!(outputs("nonce"), "uint64");
    assert_eq!(outputs("frozen"), "bool");
    assert_eq!(Escrow::payoutCall::SIGNATURE.matches('(').count(), 3);
}

#[test]
fn events_are_the_contracts() {
    let abi = committed("Escrow.abi.json");
    let mut events = signatures(&abi, "event");
    // EIP-5267's, as above.
    events.remove("EIP712DomainChanged()");
    let bound = [
        Escrow::Deposited::SIGNATURE,
        Escrow::PayoutExecuted::SIGNATURE,
        Escrow::Frozen::SIGNATURE,
        Escrow::Thawed::SIGNATURE,
        Escrow::KeyRotated::SIGNATURE,
        Escrow::CapSet::SIGNATURE,
    ];
    assert_eq!(events, bound.map(str::to_owned).into());
    let executed = abi.iter().find(|i| i["name"] == "PayoutExecuted").unwrap();
    let indexed: Vec<_> = executed["inputs"].as_array().unwrap().iter().map(|p| p["indexed"] == true).collect();
    assert_eq!(indexed, [true, true, true, false, false]);
}

#[test]
fn errors_are_the_contracts() {
    let errors = signatures(&committed("Escrow.abi.json"), "error");
    let foreign = [
        "InvalidShortString()",
        "StringTooLong(string)",
        "ReentrancyGuardReentrantCall()",
        "SafeERC20FailedOperation(address)",
    ];
    let own = errors.into_iter().filter(|e| !foreign.contains(&e.as_str())).collect();
    assert_eq!(selectors(&own), Escrow::EscrowErrors::selectors().collect());
    assert!(own.contains(Escrow::BadSignature::SIGNATURE));
}

#[test]
fn constructor_is_the_contracts() {
    let abi = committed("Escrow.abi.json");
    let constructor = abi.iter().find(|i| i["type"] == "constructor").unwrap();
    assert_eq!(list(&constructor["inputs"]), "uint256,uint256,address,(address,uint256)[]");
}

/// When forge has built the contracts here, the committed files are what it built.
#[test]
fn artifacts_are_what_forge_built() {
    let root = PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("../../contracts");
    for (name, code) in [("Escrow", escrow::creation_code()), ("TestUSDC", escrow::token::creation_code())] {
        assert!(!code.is_empty());
        let Ok(text) = std::fs::read_to_string(root.join(format!("out/{name}.sol/{name}.json"))) else { continue };
        let built: Value = serde_json::from_str(&text).unwrap();
        assert_eq!(built["abi"], Value::from(committed(&format!("{name}.abi.json"))), "{name}");
        assert_eq!(
            built["bytecode"]["object"].as_str().unwrap(),
            alloy_primitives::hex::encode_prefixed(code),
            "{name}"
        );
    }
}
