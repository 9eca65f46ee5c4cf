// An OpenID Connect provider for tests: panva's certified oidc-provider. A user NAME.GROUP logs in with any password.
import { Provider } from "oidc-provider";

const { ISSUER, PORT, REDIRECT, SECRET, JWKS } = process.env;
const provider = new Provider(ISSUER, {
  clients: [{ client_id: "metricat", client_secret: SECRET, redirect_uris: [REDIRECT] }],
  jwks: JSON.parse(JWKS),
  pkce: { required: () => true },
  conformIdTokenClaims: false,
  claims: { openid: ["sub"], profile: ["preferred_username"], groups: ["groups"] },
  findAccount: (_context, id) => ({
    accountId: id,
    claims: () => ({ sub: id, preferred_username: id.split(".")[0], groups: [id.split(".")[1], "staff"] }),
  }),
});
provider.listen(Number(PORT), "127.0.0.1", () => console.log("ready"));
