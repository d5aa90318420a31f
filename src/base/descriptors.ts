/**
 * Descriptors of contracts, completed: what the library that reads contracts leaves out of them,
 * and those who read descriptors (protobuf's reflection in Go and others) insist on.
 *
 * Owns full names of types, which files one needs, names in JSON, and the names of the entries of
 * maps, all as the language of protobuf has them. Works on google.protobuf.FileDescriptorProto as
 * plain objects, and changes the given ones.
 */

export interface FieldDescriptor {
  readonly name: string
  readonly number: number
  readonly type: string
  readonly label: string
  readonly oneofIndex?: number
  readonly proto3Optional?: boolean
  jsonName?: string
  typeName?: string
}

export interface EnumDescriptor {
  readonly name: string
  readonly value: readonly { readonly name: string; readonly number: number }[]
}

export interface MessageDescriptor {
  name: string
  readonly field: readonly FieldDescriptor[]
  readonly nestedType: readonly MessageDescriptor[]
  readonly enumType: readonly EnumDescriptor[]
  readonly options?: { readonly mapEntry?: boolean }
}

interface MethodDescriptor {
  readonly name: string
  inputType: string
  outputType: string
}

export interface FileDescriptor {
  readonly name: string
  readonly package: string
  dependency?: readonly string[]
  readonly messageType: readonly MessageDescriptor[]
  readonly enumType: readonly EnumDescriptor[]
  readonly service: readonly {
    readonly name: string
    readonly method: readonly MethodDescriptor[]
  }[]
}

export interface CompletedFile {
  readonly file: FileDescriptor
  /** Full names of what it defines. */
  readonly symbols: readonly string[]
  /** Names of the files that it needs. */
  readonly needs: readonly string[]
}

/** Completes files that are one world. */
export function completed(files: readonly FileDescriptor[]): CompletedFile[] {
  for (const { messageType } of files) messageType.forEach(nameEntries)
  const homes = new Map<string, string>()
  const symbols = files.map(file => {
    const names = symbolsIn(file)
    for (const name of names) homes.set(name, file.name)
    return names
  })
  return files.map((file, at) => {
    const needs = new Set<string>()
    const full = (scope: string, type: string): string => {
      const name = resolved(homes, scope, type)
      const home = homes.get(name)
      if (home !== undefined && home !== file.name) needs.add(home)
      return `.${name}`
    }
    for (const message of file.messageType) nameTypes(file.package, message, full)
    for (const method of file.service.flatMap(service => service.method)) {
      method.inputType = full(file.package, method.inputType)
      method.outputType = full(file.package, method.outputType)
    }
    file.dependency = [...needs]
    return { file, symbols: symbols[at]!, needs: file.dependency }
  })
}

/** A map's entry has the name of its field: `node_meta` has `NodeMetaEntry`. */
function nameEntries(message: MessageDescriptor): void {
  for (const nested of message.nestedType) {
    nameEntries(nested)
    if (nested.options?.mapEntry !== true) continue
    const field = message.field.find(({ typeName }) => typeName?.split('.').at(-1) === nested.name)
    if (field === undefined) continue
    nested.name = `${inPascalCase(field.name)}Entry`
    field.typeName = nested.name
  }
}

const inPascalCase = (name: string): string =>
  name.replaceAll(/(?:^|_)([a-zA-Z0-9])/g, (_, letter: string) => letter.toUpperCase())

const inCamelCase = (name: string): string =>
  name.replaceAll(/_([a-zA-Z0-9])/g, (_, letter: string) => letter.toUpperCase())

function nameTypes(
  scope: string,
  { name, field, nestedType }: MessageDescriptor,
  full: (scope: string, type: string) => string,
): void {
  const own = `${scope}.${name}`
  for (const each of field) {
    each.jsonName = inCamelCase(each.name)
    if (each.typeName !== undefined) each.typeName = full(own, each.typeName)
  }
  for (const nested of nestedType) nameTypes(own, nested, full)
}

/** The full name of a type as it is called within a scope: the innermost that has it. */
function resolved(homes: ReadonlyMap<string, string>, scope: string, type: string): string {
  if (type.startsWith('.')) return type.slice(1)
  for (let at = scope; at !== ''; at = at.slice(0, Math.max(0, at.lastIndexOf('.')))) {
    if (homes.has(`${at}.${type}`)) return `${at}.${type}`
  }
  return type
}

function symbolsIn(file: FileDescriptor): string[] {
  const symbols: string[] = []
  const add = (prefix: string, message: MessageDescriptor): void => {
    const name = `${prefix}.${message.name}`
    symbols.push(name)
    for (const nested of message.nestedType) add(name, nested)
    for (const each of message.enumType) symbols.push(`${name}.${each.name}`)
  }
  for (const message of file.messageType) add(file.package, message)
  for (const each of file.enumType) symbols.push(`${file.package}.${each.name}`)
  for (const service of file.service) {
    symbols.push(`${file.package}.${service.name}`)
    for (const { name } of service.method) symbols.push(`${file.package}.${service.name}.${name}`)
  }
  return symbols
}
