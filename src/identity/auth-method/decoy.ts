/**
 * What proofs are held against where the auth method that is named does not exist.
 *
 * Owns a configuration that no token ever fits: whoever asks for a method that is not there has his
 * token looked at as by one that is, so that the time it takes tells nothing. What comes of it is
 * not looked at by anybody.
 */
import { type JwtConfig, readJwtConfig } from './jwt.ts'

/** Keys whose private halves were not kept. */
const KEYS = [
  `-----BEGIN PUBLIC KEY-----
MIIBIjANBgkqhkiG9w0BAQEFAAOCAQ8AMIIBCgKCAQEAtbQ+84Z2fzJEMyzCawY4
+++UShVoEhOmtBhQmvojcX6LYqAUfJVgtKsFEUAkzDv9yz7zk/0Ilb4o5kXkQTG1
kwU/bpYV9bvyUZB36zZZ24huTwfZoGW4tdTMQz3znbb2bUydBFvGhKgZA2KcrmSm
B09NTwml1dN6t5ESfMduj34AW+fckO8i48iFu2hKIC97P93F0pcC9CPnatvXzrvw
NgUgfJOyUR5+YvVnfFhfhCruvQH9wyG4FcJmF36ZSLBodhy8CsC7rQZWPEmQW63w
TiauKxAidpy5zfDVG4Qgd+Xxxt6xZ0IGnMUmOPQuGtDHXnfHTpLZm5vl5utNTKGZ
hQIDAQAB
-----END PUBLIC KEY-----`,
  `-----BEGIN PUBLIC KEY-----
MFkwEwYHKoZIzj0CAQYIKoZIzj0DAQcDQgAEu06xWNFyHO8BKNKpZY9ExqSDqWmf
nQ/sudcnALtbeeW3DhT30HnP3BucNuvAm84v3nXWMm51ZlMZhdaVorMOnA==
-----END PUBLIC KEY-----`,
]

export const decoyConfig = readJwtConfig({ JWTValidationPubKeys: KEYS }) as JwtConfig
