import { BinaryWriter, WireType } from '@bufbuild/protobuf/wire'

/**
 * The part of ONNX's messages that an export needs, and their protobuf encoding. Field numbers are those of onnx.proto (IR version 8).
 */

/** What an attribute may hold: a whole number, a list of whole numbers, or a number that is written as a float. */
export type Attribute = number | readonly number[] | { readonly float: number }

export interface NodeMessage {
  readonly op: string
  readonly name: string
  readonly inputs: readonly string[]
  readonly output: string
  readonly attributes: Readonly<Record<string, Attribute>>
}

/** A constant tensor. */
export interface TensorMessage {
  readonly name: string
  readonly dims: readonly number[]
  /** Row-major, as many values as the dims say. */
  readonly data: Float32Array | BigInt64Array
}

/** A tensor that enters or leaves the graph; a text among the dims is symbolic. */
export interface ValueMessage {
  readonly name: string
  readonly type: keyof typeof elementTypes
  readonly dims: readonly (number | string)[]
}

export interface ModelMessage {
  readonly producer: { readonly name: string; readonly version: string }
  readonly opset: number
  readonly name: string
  readonly nodes: readonly NodeMessage[]
  readonly constants: readonly TensorMessage[]
  readonly inputs: readonly ValueMessage[]
  readonly outputs: readonly ValueMessage[]
  readonly metadata: Readonly<Record<string, string>>
}

const irVersion = 8
const elementTypes = { float32: 1, uint8: 2, int64: 7 } as const
const attributeTypes = { float: 1, int: 2, ints: 7 } as const

/** The bytes of a model in pieces, in order; the constants' data are views, not copies. */
export function encodeModel({ producer, opset, name, nodes, constants, inputs, outputs, metadata }: ModelMessage): Uint8Array[] {
  const graph = new Message()
  for (const node of nodes) graph.message(1, encodeNode(node))
  graph.text(2, name)
  for (const constant of constants) graph.message(5, encodeTensor(constant))
  for (const input of inputs) graph.message(11, encodeValue(input))
  for (const output of outputs) graph.message(12, encodeValue(output))

  const model = new Message().whole(1, irVersion).text(2, producer.name).text(3, producer.version).message(7, graph)
  model.message(8, new Message().text(1, '').whole(2, opset))
  for (const [key, value] of Object.entries(metadata)) model.message(14, new Message().text(1, key).text(2, value))
  return model.parts
}

function encodeNode({ op, name, inputs, output, attributes }: NodeMessage): Message {
  const node = new Message()
  for (const input of inputs) node.text(1, input)
  node.text(2, output).text(3, name).text(4, op)
  for (const [key, value] of Object.entries(attributes)) node.message(5, encodeAttribute(key, value))
  return node
}

function encodeAttribute(name: string, value: Attribute): Message {
  const attribute = new Message().text(1, name)
  if (typeof value === 'number') return attribute.whole(3, value).whole(20, attributeTypes.int)
  if ('float' in value) return attribute.float(2, value.float).whole(20, attributeTypes.float)
  for (const item of value) attribute.whole(8, item)
  return attribute.whole(20, attributeTypes.ints)
}

function encodeTensor({ name, dims, data }: TensorMessage): Message {
  const tensor = new Message()
  for (const dim of dims) tensor.whole(1, dim)
  tensor.whole(2, data instanceof Float32Array ? elementTypes.float32 : elementTypes.int64).text(8, name)
  return tensor.bytes(9, new Uint8Array(data.buffer, data.byteOffset, data.byteLength))
}

function encodeValue({ name, type, dims }: ValueMessage): Message {
  const shape = new Message()
  for (const dim of dims) shape.message(1, typeof dim === 'number' ? new Message().whole(1, dim) : new Message().text(2, dim))
  const tensor = new Message().whole(1, elementTypes[type]).message(2, shape)
  return new Message().text(1, name).message(2, new Message().message(1, tensor))
}

/** A protobuf message under construction, as a list of pieces so that nesting copies nothing. */
class Message {
  readonly parts: Uint8Array[] = []
  #bytes = 0

  whole(field: number, value: number): this {
    return this.#add(new BinaryWriter().tag(field, WireType.Varint).int64(value).finish())
  }

  float(field: number, value: number): this {
    return this.#add(new BinaryWriter().tag(field, WireType.Bit32).float(value).finish())
  }

  text(field: number, value: string): this {
    return this.#add(new BinaryWriter().tag(field, WireType.LengthDelimited).string(value).finish())
  }

  bytes(field: number, value: Uint8Array): this {
    return this.#length(field, value.length).#add(value)
  }

  message(field: number, message: Message): this {
    this.#length(field, message.#bytes)
    for (const part of message.parts) this.#add(part)
    return this
  }

  #length(field: number, bytes: number): this {
    return this.#add(new BinaryWriter().tag(field, WireType.LengthDelimited).uint32(bytes).finish())
  }

  #add(part: Uint8Array): this {
    this.parts.push(part)
    this.#bytes += part.length
    return this
  }
}
