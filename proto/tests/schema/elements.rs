//! Walks a file descriptor: every element with its full name and the path that source information knows it by.

use std::collections::BTreeSet;

use prost_types::{DescriptorProto, EnumDescriptorProto, FileDescriptorProto};

// Field numbers of google/protobuf/descriptor.proto, which make up the paths of SourceCodeInfo.
const FILE_MESSAGE: i32 = 4;
const FILE_ENUM: i32 = 5;
const FILE_SERVICE: i32 = 6;
const MESSAGE_FIELD: i32 = 2;
const MESSAGE_NESTED: i32 = 3;
const MESSAGE_ENUM: i32 = 4;
const MESSAGE_ONEOF: i32 = 8;
const ENUM_VALUE: i32 = 2;
const SERVICE_METHOD: i32 = 2;

/// A message or enum with its full name (no leading dot) and path.
pub struct Located<'a, T> {
    pub name: String,
    pub path: Vec<i32>,
    pub item: &'a T,
}

fn step(path: &[i32], number: i32, index: usize) -> Vec<i32> {
    let mut longer = path.to_vec();
    longer.push(number);
    longer.push(i32::try_from(index).expect("few elements"));
    longer
}

/// Every message, nested ones after the one that holds them.
pub fn messages(file: &FileDescriptorProto) -> Vec<Located<'_, DescriptorProto>> {
    fn visit<'a>(scope: &str, path: &[i32], item: &'a DescriptorProto, found: &mut Vec<Located<'a, DescriptorProto>>) {
        let name = format!("{scope}.{}", item.name());
        found.push(Located { name: name.clone(), path: path.to_vec(), item });
        for (index, nested) in item.nested_type.iter().enumerate() {
            visit(&name, &step(path, MESSAGE_NESTED, index), nested, found);
        }
    }
    let mut found = Vec::new();
    for (index, item) in file.message_type.iter().enumerate() {
        visit(file.package(), &step(&[], FILE_MESSAGE, index), item, &mut found);
    }
    found
}

/// Every enum, also those in messages.
pub fn enums(file: &FileDescriptorProto) -> Vec<Located<'_, EnumDescriptorProto>> {
    let mut found = Vec::new();
    for (index, item) in file.enum_type.iter().enumerate() {
        found.push(Located {
            name: format!("{}.{}", file.package(), item.name()),
            path: step(&[], FILE_ENUM, index),
            item,
        });
    }
    for message in messages(file) {
        for (index, item) in message.item.enum_type.iter().enumerate() {
            found.push(Located {
                name: format!("{}.{}", message.name, item.name()),
                path: step(&message.path, MESSAGE_ENUM, index),
                item,
            });
        }
    }
    found
}

/// Full name and path of every element that wants a comment.
pub fn all(file: &FileDescriptorProto) -> Vec<(String, Vec<i32>)> {
    let mut found = Vec::new();
    for message in messages(file) {
        for (index, field) in message.item.field.iter().enumerate() {
            found.push((format!("{}.{}", message.name, field.name()), step(&message.path, MESSAGE_FIELD, index)));
        }
        // The oneof that an `optional` makes has no place in the source.
        let synthetic: BTreeSet<i32> = message
            .item
            .field
            .iter()
            .filter(|field| field.proto3_optional())
            .filter_map(|field| field.oneof_index)
            .collect();
        for (index, oneof) in message.item.oneof_decl.iter().enumerate() {
            if !synthetic.contains(&i32::try_from(index).expect("few oneofs")) {
                found.push((format!("{}.{}", message.name, oneof.name()), step(&message.path, MESSAGE_ONEOF, index)));
            }
        }
        found.push((message.name, message.path));
    }
    for one in enums(file) {
        for (index, value) in one.item.value.iter().enumerate() {
            found.push((format!("{}.{}", one.name, value.name()), step(&one.path, ENUM_VALUE, index)));
        }
        found.push((one.name, one.path));
    }
    for (index, service) in file.service.iter().enumerate() {
        let name = format!("{}.{}", file.package(), service.name());
        let path = step(&[], FILE_SERVICE, index);
        for (index, method) in service.method.iter().enumerate() {
            found.push((format!("{name}.{}", method.name()), step(&path, SERVICE_METHOD, index)));
        }
        found.push((name, path));
    }
    found
}
