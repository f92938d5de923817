//! The naming and comment rules.

use std::collections::{BTreeMap, BTreeSet};

use prost_types::field_descriptor_proto::Type;
use prost_types::{FileDescriptorProto, FileDescriptorSet};

use crate::elements;

/// What breaks a rule, one line each; empty if all is well. Google's own files are not looked at.
pub fn check(set: &FileDescriptorSet) -> Vec<String> {
    let mut found = Vec::new();
    let mut used = BTreeMap::new();
    for file in &set.file {
        if file.package() == "google.protobuf" {
            continue;
        }
        file_names(file, &mut found);
        comments(file, &mut found);
        messages(file, &mut found);
        enums(file, &mut found);
        services(file, &mut used, &mut found);
    }
    found
}

fn file_names(file: &FileDescriptorProto, found: &mut Vec<String>) {
    let name = file.name();
    let (folder, base) = name.rsplit_once('/').unwrap_or(("", name));
    if file.package().replace('.', "/") != folder {
        found.push(format!("{name}: package {} does not match its folder", file.package()));
    }
    let version = file.package().rsplit('.').next().unwrap_or_default();
    let versioned = version
        .strip_prefix('v')
        .is_some_and(|digits| !digits.is_empty() && digits.bytes().all(|byte| byte.is_ascii_digit()));
    if !versioned {
        found.push(format!("{name}: package {} does not end in a version", file.package()));
    }
    if !is_snake(base.trim_end_matches(".proto")) {
        found.push(format!("{name}: file name is not lower snake case"));
    }
    if file.syntax() != "proto3" {
        found.push(format!("{name}: syntax is not proto3"));
    }
    if !file.public_dependency.is_empty() {
        found.push(format!("{name}: public import"));
    }
}

fn comments(file: &FileDescriptorProto, found: &mut Vec<String>) {
    let commented: BTreeSet<&[i32]> = file
        .source_code_info
        .iter()
        .flat_map(|info| &info.location)
        .filter(|location| !location.leading_comments().trim().is_empty())
        .map(|location| location.path.as_slice())
        .collect();
    for (name, path) in elements::all(file) {
        if !commented.contains(path.as_slice()) {
            found.push(format!("{name}: no comment"));
        }
    }
}

fn messages(file: &FileDescriptorProto, found: &mut Vec<String>) {
    for message in elements::messages(file) {
        if !is_upper_camel(message.item.name()) {
            found.push(format!("{}: message is not upper camel case", message.name));
        }
        for field in &message.item.field {
            let name = format!("{}.{}", message.name, field.name());
            if !is_snake(field.name()) {
                found.push(format!("{name}: field is not lower snake case"));
            }
            if field.name().ends_with("_tai") && field.r#type() != Type::String {
                found.push(format!("{name}: an amount is a decimal string"));
            }
        }
        for oneof in &message.item.oneof_decl {
            if !is_snake(oneof.name().trim_start_matches('_')) {
                found.push(format!("{}.{}: oneof is not lower snake case", message.name, oneof.name()));
            }
        }
    }
}

fn enums(file: &FileDescriptorProto, found: &mut Vec<String>) {
    for one in elements::enums(file) {
        if !is_upper_camel(one.item.name()) {
            found.push(format!("{}: enum is not upper camel case", one.name));
        }
        let prefix = upper_snake(one.item.name());
        for value in &one.item.value {
            let name = format!("{}.{}", one.name, value.name());
            if !is_upper_snake(value.name()) {
                found.push(format!("{name}: value is not upper snake case"));
            }
            if !value.name().starts_with(&format!("{prefix}_")) {
                found.push(format!("{name}: value does not start with {prefix}_"));
            }
            if (value.number() == 0) != (value.name() == format!("{prefix}_UNSPECIFIED")) {
                found.push(format!("{name}: the zero value, and no other, is {prefix}_UNSPECIFIED"));
            }
        }
    }
}

fn services(file: &FileDescriptorProto, used: &mut BTreeMap<String, String>, found: &mut Vec<String>) {
    for service in &file.service {
        let scope = format!("{}.{}", file.package(), service.name());
        if !is_upper_camel(service.name()) || !service.name().ends_with("Service") {
            found.push(format!("{scope}: service is not upper camel case ending in Service"));
        }
        for method in &service.method {
            let name = format!("{scope}.{}", method.name());
            if !is_upper_camel(method.name()) {
                found.push(format!("{name}: method is not upper camel case"));
            }
            for (kind, actual) in [("Request", method.input_type()), ("Response", method.output_type())] {
                let wanted = format!(".{}.{}{kind}", file.package(), method.name());
                if actual != wanted {
                    found.push(format!("{name}: {actual} should be {wanted}"));
                }
                if let Some(other) = used.insert(actual.to_owned(), name.clone()) {
                    found.push(format!("{name}: {actual} belongs to {other} already"));
                }
            }
        }
    }
}

fn words(name: &str, wanted: impl Fn(u8) -> bool) -> bool {
    !name.is_empty()
        && name.split('_').all(|word| !word.is_empty())
        && name.bytes().all(|byte| wanted(byte) || byte.is_ascii_digit() || byte == b'_')
        && !name.starts_with(|first: char| first.is_ascii_digit())
}

fn is_snake(name: &str) -> bool {
    words(name, |byte| byte.is_ascii_lowercase())
}

fn is_upper_snake(name: &str) -> bool {
    words(name, |byte| byte.is_ascii_uppercase())
}

fn is_upper_camel(name: &str) -> bool {
    name.starts_with(|first: char| first.is_ascii_uppercase())
        && name.bytes().all(|byte| byte.is_ascii_alphanumeric())
        && !name.as_bytes().windows(2).any(|pair| pair.iter().all(u8::is_ascii_uppercase))
}

fn upper_snake(camel: &str) -> String {
    let mut out = String::new();
    for letter in camel.chars() {
        if letter.is_ascii_uppercase() && !out.is_empty() {
            out.push('_');
        }
        out.push(letter.to_ascii_uppercase());
    }
    out
}

const GOOD: &str = "
syntax = \"proto3\";
package a.v1;
// A service.
service ThingService {
  // A method.
  rpc GetThing(GetThingRequest) returns (GetThingResponse);
}
// A kind.
enum ThingKind {
  // None.
  THING_KIND_UNSPECIFIED = 0;
  // One.
  THING_KIND_ONE = 1;
}
// A request.
message GetThingRequest {
  // A field.
  string some_name = 1;
  // Money.
  string fee_tai = 2;
  // Maybe.
  optional uint64 version = 3;
}
// A response.
message GetThingResponse {
  // A choice.
  oneof choice {
    // One.
    uint64 left = 1;
    // Other.
    uint64 right = 2;
  }
}
";

#[test]
fn the_rules_accept_a_good_file() {
    let found = check(&crate::compile::one("a/v1/thing.proto", GOOD));
    assert!(found.is_empty(), "{found:?}");
}

#[test]
fn the_rules_refuse_every_kind_of_bad_file() {
    let table = [
        ("package a.v1;", "package b.v1;", "does not match its folder"),
        ("// A method.", "", "GetThing: no comment"),
        ("// One.", "", "no comment"),
        ("// A choice.", "", "choice: no comment"),
        ("// Maybe.", "", "version: no comment"),
        ("// A kind.", "", "ThingKind: no comment"),
        ("// A service.", "", "ThingService: no comment"),
        ("some_name", "someName", "not lower snake case"),
        ("choice {", "Choice {", "oneof is not lower snake case"),
        ("string fee_tai", "uint64 fee_tai", "decimal string"),
        ("THING_KIND_ONE", "ONE", "does not start with THING_KIND_"),
        ("THING_KIND_ONE", "THING_KIND_one", "not upper snake case"),
        ("KIND_UNSPECIFIED", "KIND_NONE", "THING_KIND_UNSPECIFIED"),
        ("service ThingService", "service Things", "ending in Service"),
        ("rpc GetThing(", "rpc ReadThing(", "should be .a.v1.ReadThingRequest"),
        ("returns (GetThingResponse)", "returns (GetThingRequest)", "already"),
        ("enum ThingKind", "enum Thing_Kind", "enum is not upper camel case"),
        ("proto3", "proto2", "syntax is not proto3"),
    ];
    for (from, to, wanted) in table {
        assert!(GOOD.contains(from), "the example lacks {from:?}");
        let mut text = GOOD.replace(from, to);
        if to == "proto2" {
            text = text.replace("  string", "  optional string");
        }
        let found = check(&crate::compile::one("a/v1/thing.proto", &text));
        assert!(found.iter().any(|line| line.contains(wanted)), "{from:?} -> {to:?} gave {found:?}, not {wanted:?}");
    }
}

#[test]
fn the_rules_refuse_bad_file_and_package_names() {
    let found = check(&crate::compile::one("a/v1/Thing.proto", GOOD));
    assert!(found.iter().any(|line| line.contains("file name")), "{found:?}");
    let text = GOOD.replace("package a.v1;", "package a;");
    let found = check(&crate::compile::one("a/thing.proto", &text));
    assert!(found.iter().any(|line| line.contains("version")), "{found:?}");
}
