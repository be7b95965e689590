// SPDX-License-Identifier: MIT
// A server for the interop tests: small resources for clients with one of the contexts given as arguments.
//
//     java Server CONTEXT...
//
// It prints "listening 127.0.0.1:PORT" when it is ready, and runs until it is stopped.

import java.util.Timer;
import java.util.TimerTask;
import java.util.concurrent.atomic.AtomicInteger;
import org.eclipse.californium.core.CoapResource;
import org.eclipse.californium.core.CoapServer;
import org.eclipse.californium.core.coap.CoAP.ResponseCode;
import org.eclipse.californium.core.coap.CoAP.Type;
import org.eclipse.californium.core.coap.OptionSet;
import org.eclipse.californium.core.coap.Response;
import org.eclipse.californium.core.network.CoapEndpoint;
import org.eclipse.californium.core.server.resources.CoapExchange;
import org.eclipse.californium.oscore.HashMapCtxDB;
import org.eclipse.californium.oscore.OSCoreResource;

public final class Server {
    private static final int LATER_MS = 300;

    private Server() {
    }

    private static int number(CoapExchange exchange, String name) {
        return Integer.parseInt(exchange.getQueryParameter(name));
    }

    /** A word, with an entity tag and an age. */
    private static final class Hello extends OSCoreResource {
        Hello() {
            super("hello", true);
        }

        @Override
        public void handleGET(CoapExchange exchange) {
            exchange.setETag(new byte[] { 0x2b });
            exchange.setMaxAge(5);
            exchange.respond("Hello World!");
        }
    }

    /** Bytes that support PUT, GET, DELETE and Observe; not an OSCoreResource, which refuses to make its own notifications. */
    private static final class Store extends CoapResource {
        private byte[] value;

        Store(Type notifications) {
            super(notifications == Type.CON ? "store" : "store-non");
            setObservable(true);
            setObserveType(notifications);
        }

        @Override
        public synchronized void handleGET(CoapExchange exchange) {
            if (value == null) {
                exchange.respond(ResponseCode.NOT_FOUND);
            } else {
                exchange.respond(ResponseCode.CONTENT, value);
            }
        }

        @Override
        public void handlePUT(CoapExchange exchange) {
            synchronized (this) {
                boolean isNew = value == null;
                if (exchange.getRequestOptions().hasIfNoneMatch() && !isNew) {
                    exchange.respond(ResponseCode.PRECONDITION_FAILED);
                    return;
                }
                value = exchange.getRequestPayload();
                exchange.respond(isNew ? ResponseCode.CREATED : ResponseCode.CHANGED);
            }
            changed();
        }

        @Override
        public void handleDELETE(CoapExchange exchange) {
            synchronized (this) {
                value = null;
            }
            exchange.respond(ResponseCode.DELETED);
            clearAndNotifyObserveRelations(ResponseCode.NOT_FOUND);
        }
    }

    /** Returns the payload, with its Content-Format. */
    private static final class Echo extends OSCoreResource {
        Echo() {
            super("echo", true);
        }

        private static void answer(CoapExchange exchange, ResponseCode code) {
            OptionSet options = exchange.getRequestOptions();
            if (options.hasContentFormat()) {
                exchange.respond(code, exchange.getRequestPayload(), options.getContentFormat());
            } else {
                exchange.respond(code, exchange.getRequestPayload());
            }
        }

        @Override
        public void handlePOST(CoapExchange exchange) {
            answer(exchange, ResponseCode.CHANGED);
        }

        @Override
        public void handleFETCH(CoapExchange exchange) {
            answer(exchange, ResponseCode.CONTENT);
        }
    }

    /** Counts its requests: a replayed request must not count. */
    private static final class Count extends OSCoreResource {
        private final AtomicInteger count = new AtomicInteger();

        Count() {
            super("count", true);
        }

        @Override
        public void handleGET(CoapExchange exchange) {
            exchange.respond(Integer.toString(count.get()));
        }

        @Override
        public void handlePOST(CoapExchange exchange) {
            exchange.setLocationPath("count");
            exchange.respond(ResponseCode.CREATED, Integer.toString(count.incrementAndGet()));
        }
    }

    /** Sends separate responses. */
    private static final class Later extends OSCoreResource {
        private final Timer timer = new Timer(true);

        Later() {
            super("later", true);
        }

        @Override
        public void handleGET(CoapExchange exchange) {
            exchange.accept();
            timer.schedule(new TimerTask() {
                @Override
                public void run() {
                    exchange.respond("later");
                }
            }, LATER_MS);
        }
    }

    /** /code?is=N: that response code, without a payload; /body?size=N: that many bytes; /asked: the options received. */
    private static final class Code extends OSCoreResource {
        Code() {
            super("code", true);
        }

        @Override
        public void handleGET(CoapExchange exchange) {
            exchange.respond(ResponseCode.valueOf(number(exchange, "is")));
        }
    }

    private static final class Body extends OSCoreResource {
        Body() {
            super("body", true);
        }

        @Override
        public void handleGET(CoapExchange exchange) {
            Response answer = new Response(ResponseCode.CONTENT);
            answer.setPayload(Peer.pattern(number(exchange, "size")));
            exchange.respond(answer);
        }
    }

    private static final class Asked extends OSCoreResource {
        Asked() {
            super("asked", true);
        }

        @Override
        public void handleGET(CoapExchange exchange) {
            exchange.respond(Peer.options(exchange.getRequestOptions()));
        }
    }

    public static void main(String[] arguments) throws Exception {
        HashMapCtxDB contexts = new HashMapCtxDB();
        for (String words : arguments) {
            contexts.addContext(Peer.context(words));
        }
        CoapEndpoint endpoint = Peer.endpoint(contexts);
        CoapServer server = new CoapServer(endpoint.getConfig());
        server.addEndpoint(endpoint);
        server.add(new Hello(), new Store(Type.CON), new Store(Type.NON), new Echo(), new Count(), new Later(), new Code(),
                new Body(), new Asked());
        server.start();
        System.out.println("listening 127.0.0.1:" + endpoint.getAddress().getPort());
    }
}
