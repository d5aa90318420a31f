/**
 * The catalogs that benches fill: made-up nodes, instances and checks, registered over HTTP.
 *
 * Owns their names and bodies. Every instance has a check of its own, every node one of the node.
 */
import assert from 'node:assert/strict'
import { call, must } from './client.ts'

/** A body of /v1/catalog/register. */
export interface RegisterBody {
  readonly Node: string
  readonly [field: string]: unknown
}

export interface CatalogSize {
  readonly instances: number
  readonly nodes: number
  /** Instances of each service. */
  readonly perService: number
}

/** What memory and start are promised for. */
export const largeCatalog = (instances: number): CatalogSize => ({
  instances,
  nodes: instances / 10,
  perService: 20,
})

export const serviceName = (index: number): string => `service-${index}`

/** Every registration of a catalog, nodes before what runs on them. */
export function* bodiesOf({ instances, nodes, perService }: CatalogSize): Iterable<RegisterBody> {
  for (let index = 0; index < nodes; index++) yield nodeBody(index)
  const services = Math.ceil(instances / perService)
  for (let index = 0; index < instances; index++) {
    yield instanceBody(index, index % nodes, serviceName(index % services))
  }
}

function nodeBody(index: number): RegisterBody {
  const address = addressOf(index)
  return {
    ID: `${index.toString(16).padStart(8, '0')}-0000-4000-8000-000000000000`,
    Node: `node-${index}`,
    Address: address,
    TaggedAddresses: { lan: address, wan: address },
    NodeMeta: { rack: `r${index % 40}` },
    Check: {
      CheckID: 'alive',
      Name: 'Node health',
      Status: 'passing',
      Output: 'Agent alive and reachable',
    },
  }
}

/** One instance on a node that is there already; `release` makes it differ from the one before. */
export function instanceBody(
  index: number,
  node: number,
  name: string,
  release = 'r1',
): RegisterBody {
  const id = `${name}-${index}`
  return {
    Node: `node-${node}`,
    Address: addressOf(node),
    SkipNodeUpdate: true,
    Service: {
      ID: id,
      Service: name,
      Tags: ['primary', 'v1'],
      Port: 8_000 + (index % 1_000),
      Meta: { release },
    },
    Check: {
      CheckID: `service:${id}`,
      Name: `Service '${name}' check`,
      Status: 'passing',
      Output: `HTTP GET http://${addressOf(node)}:8080/health: 200 OK Output: ${release}`,
      ServiceID: id,
      Definition: { HTTP: `http://${addressOf(node)}:8080/health`, Interval: '10s' },
    },
  }
}

const addressOf = (node: number): string => `10.${node >> 16}.${(node >> 8) & 255}.${node & 255}`

/** Registers a whole catalog and makes sure that it is there. */
export async function fillCatalog(port: number, size: CatalogSize): Promise<void> {
  const bodies = bodiesOf(size)[Symbol.iterator]()
  const pour = async (): Promise<void> => {
    for (let next = bodies.next(); next.done !== true; next = bodies.next()) {
      await must(port, 'PUT', '/v1/catalog/register', next.value)
    }
  }
  // Nodes come first; an instance that overtook its node brings it along.
  await Promise.all(Array.from({ length: LANES }, pour))
  const last = serviceName(Math.ceil(size.instances / size.perService) - 1)
  const { body, status } = await call(port, 'GET', `/v1/health/service/${last}?passing`)
  assert.equal(status, 200)
  assert.equal(JSON.parse(body.toString()).length, size.perService)
}

const LANES = 64
