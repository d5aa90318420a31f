/** The page of second factors, followed before three servers, the requests spread over them. */
process.env.GATEHOUSE_TEST_TARGET = 'cluster'
await import('../mfa-page.test.ts')
