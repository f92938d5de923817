//! The readable form of everything that a client depends on, and what a change of it does to old clients.
//!
//! One line each: `package.Message.field = number label type`, `package.Enum.VALUE = number`,
//! `package.Service.Method = request -> response`, and `package.Message = message` so that an empty message is seen too.

use std::collections::BTreeMap;

use prost_types::field_descriptor_proto::{Label, Type};
use prost_types::{DescriptorProto, FieldDescriptorProto, FileDescriptorSet};

use crate::elements;

/// The lines, in the order of the files.
pub fn render(set: &FileDescriptorSet) -> String {
    let mut lines = Vec::new();
    for file in &set.file {
        if file.package() == "google.protobuf" {
            continue;
        }
        for one in elements::enums(file) {
            for value in &one.item.value {
                lines.push(format!("{}.{} = {}", one.name, value.name(), value.number()));
            }
        }
        for message in elements::messages(file) {
            lines.push(format!("{} = message", message.name));
            for field in &message.item.field {
                lines.push(format!("{}.{} = {}", message.name, field.name(), shape(message.item, field)));
            }
        }
        for service in &file.service {
            for method in &service.method {
                lines.push(format!(
                    "{}.{}.{} = {}{} -> {}{}",
                    file.package(),
                    service.name(),
                    method.name(),
                    if method.client_streaming() { "stream " } else { "" },
                    method.input_type(),
                    if method.server_streaming() { "stream " } else { "" },
                    method.output_type(),
                ));
            }
        }
    }
    lines.push(String::new());
    lines.join("\n")
}

fn shape(message: &DescriptorProto, field: &FieldDescriptorProto) -> String {
    let label = if field.proto3_optional() {
        "optional ".to_owned()
    } else if field.label() == Label::Repeated {
        "repeated ".to_owned()
    } else if let Some(index) = field.oneof_index {
        let index = usize::try_from(index).expect("an index");
        format!("oneof {} ", message.oneof_decl[index].name())
    } else {
        String::new()
    };
    let kind = match field.r#type() {
        Type::Message | Type::Enum => field.type_name().to_owned(),
        scalar => scalar.as_str_name().trim_start_matches("TYPE_").to_lowercase(),
    };
    format!("{} {label}{kind}", field.number())
}

/// What differs between two renderings.
#[derive(Debug, Default)]
pub struct Changes {
    pub breaking: Vec<String>,
    pub added: Vec<String>,
}

/// Compares a baseline with what stands now.
pub fn compare(before: &str, now: &str) -> Changes {
    let before = parse(before);
    let now = parse(now);
    let mut changes = Changes::default();
    for (name, old) in &before {
        match now.get(name) {
            None => changes.breaking.push(format!("removed: {name} = {old}")),
            Some(new) if new != old => {
                changes.breaking.push(format!("changed: {name} = {old}, now {new}"));
            }
            Some(_) => {}
        }
    }
    for (name, new) in &now {
        if !before.contains_key(name) {
            changes.added.push(format!("{name} = {new}"));
        }
    }
    changes
}

fn parse(text: &str) -> BTreeMap<&str, &str> {
    text.lines()
        .filter(|line| !line.trim().is_empty())
        .map(|line| line.split_once(" = ").expect("a line has a name and a shape"))
        .collect()
}

const EXAMPLE: &str = "
syntax = \"proto3\";
package a.v1;
service ThingService { rpc GetThing(GetThingRequest) returns (GetThingResponse); }
enum ThingKind { THING_KIND_UNSPECIFIED = 0; THING_KIND_ONE = 1; }
message GetThingRequest { string name = 1; repeated uint64 sizes = 2; optional uint32 version = 3; }
message GetThingResponse { oneof choice { uint64 left = 1; uint64 right = 2; } ThingKind kind = 3; }
";

fn example(from: &str, to: &str) -> Changes {
    assert!(EXAMPLE.contains(from), "the example lacks {from:?}");
    let before = render(&crate::compile::one("a/v1/thing.proto", EXAMPLE));
    let now = render(&crate::compile::one("a/v1/thing.proto", &EXAMPLE.replace(from, to)));
    compare(&before, &now)
}

#[test]
fn every_breaking_change_is_found() {
    let table = [
        ("string name = 1;", "", "removed: a.v1.GetThingRequest.name"),
        ("string name = 1;", "string name = 4;", "changed: a.v1.GetThingRequest.name"),
        ("string name = 1;", "bytes name = 1;", "changed: a.v1.GetThingRequest.name"),
        ("string name = 1;", "string label = 1;", "removed: a.v1.GetThingRequest.name"),
        ("repeated uint64 sizes", "uint64 sizes", "changed: a.v1.GetThingRequest.sizes"),
        ("optional uint32 version", "uint32 version", "changed: a.v1.GetThingRequest.version"),
        ("oneof choice {", "oneof other {", "changed: a.v1.GetThingResponse.left"),
        ("THING_KIND_ONE = 1", "THING_KIND_ONE = 2", "changed: a.v1.ThingKind.THING_KIND_ONE"),
        ("THING_KIND_ONE = 1;", "", "removed: a.v1.ThingKind.THING_KIND_ONE"),
        ("rpc GetThing(GetThingRequest) returns (GetThingResponse);", "", "removed: a.v1.ThingService.GetThing"),
        ("returns (GetThingResponse)", "returns (stream GetThingResponse)", "changed: a.v1.ThingService.GetThing"),
        ("ThingKind kind = 3;", "uint32 kind = 3;", "changed: a.v1.GetThingResponse.kind"),
    ];
    for (from, to, wanted) in table {
        let changes = example(from, to);
        assert!(
            changes.breaking.iter().any(|line| line.starts_with(wanted)),
            "{from:?} -> {to:?} gave {changes:?}, not {wanted:?}"
        );
    }
}

#[test]
fn an_addition_breaks_nothing_and_is_named() {
    let changes = example("string name = 1;", "string name = 1; string colour = 9;");
    assert!(changes.breaking.is_empty(), "{changes:?}");
    assert_eq!(changes.added, ["a.v1.GetThingRequest.colour = 9 string".to_owned()]);
}

#[test]
fn the_same_files_have_no_changes() {
    let changes = example("string name = 1;", "string name = 1;");
    assert!(changes.breaking.is_empty() && changes.added.is_empty());
}
