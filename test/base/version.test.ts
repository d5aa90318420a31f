/** The two versions: ours, and the one of Consul that clients see. */
import { readFileSync } from 'node:fs'
import t from 'tap'
import { consulVersion, productVersion } from '../../src/base/version.ts'

t.equal(productVersion, JSON.parse(readFileSync('package.json', 'utf8')).version)
t.match(consulVersion, /^1\.\d+\.\d+$/, 'clients compare it as three numbers')
