/** Takes out of the generated code what only servers need: the rules of fields, routes, roles and their descriptors. */

import { fromBinary, toBinary } from "../typescript/node_modules/@bufbuild/protobuf/dist/esm/index.js";
import { FileDescriptorProtoSchema } from "../typescript/node_modules/@bufbuild/protobuf/dist/esm/wkt/index.js";
import type { DescriptorProto, EnumDescriptorProto } from "../typescript/node_modules/@bufbuild/protobuf/dist/esm/wkt/index.js";
import type { Plugin } from "vite";

/** Files that describe options. What imports them goes on without. */
const OPTIONS = /^file_(buf_validate_validate|google_api_\w+)$/;

export function stripRules(): Plugin {
  return {
    name: "strip-rules",
    enforce: "pre",
    transform(code, id) {
      if (!/_pb\.ts$/.test(id) || !code.includes("fileDesc(")) return null;
      return strip(code);
    },
  };
}

function strip(code: string): string {
  return code.replace(/fileDesc\("([^"]*)"(?:, \[([^\]]*)\])?\)/, (_, text: string, names: string | undefined) => {
    const dependencies = (names ?? "").split(", ").filter(Boolean);
    const file = fromBinary(FileDescriptorProtoSchema, Buffer.from(text, "base64"));
    const kept = dependencies.map((name) => !OPTIONS.test(name));
    file.options = undefined;
    if (!code.includes("extDesc(")) file.extension = [];
    file.dependency = file.dependency.filter((_, index) => kept[index]);
    file.service.forEach((service) => {
      service.options = undefined;
      service.method.forEach((method) => (method.options = undefined));
    });
    file.enumType.forEach(bareEnum);
    file.messageType.forEach(bareMessage);
    const bytes = Buffer.from(toBinary(FileDescriptorProtoSchema, file)).toString("base64").replace(/=+$/, "");
    return `fileDesc("${bytes}", [${dependencies.filter((_, index) => kept[index]).join(", ")}])`;
  });
}

function bareMessage(message: DescriptorProto): void {
  if (!message.options?.mapEntry) message.options = undefined; // a map is a message with this option
  message.extension = [];
  message.field.forEach((field) => (field.options = undefined));
  message.oneofDecl.forEach((oneof) => (oneof.options = undefined));
  message.enumType.forEach(bareEnum);
  message.nestedType.forEach(bareMessage);
}

function bareEnum(each: EnumDescriptorProto): void {
  each.options = undefined;
  each.value.forEach((value) => (value.options = undefined));
}
