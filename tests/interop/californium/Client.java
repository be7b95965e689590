// SPDX-License-Identifier: MIT
// A client for the interop tests. It reads commands from standard input and replies to each with one line:
//
//     context NAME CONTEXT         makes a context, for later use
//     use NAME URI                 requests to this host and port are protected with it from now on
//     seq NAME N                   its next sequence number is N
//     lost URI                     the next request there begins Appendix B.2
//     ask METHOD URI [WORD...]     "answer CODE OPTIONS PAYLOAD", or "failed WHY"; the words: non, plain, payload=HEX, size=N,
//                                  token=HEX, option=NUMBER:HEX
//     observe URI                  "observing" when it is asked for; then "notified CODE OPTIONS PAYLOAD" for each state
//     cancel                       ends that in order; as ask
//     ping URI                     "pong", or "failed"
//
// Payloads and options are hex, "-" for nothing. It ends with its input.

import java.io.BufferedReader;
import java.io.InputStreamReader;
import java.util.HashMap;
import java.util.Map;
import org.eclipse.californium.core.CoapClient;
import org.eclipse.californium.core.coap.CoAP.Code;
import org.eclipse.californium.core.coap.CoAP.Type;
import org.eclipse.californium.core.coap.MessageObserverAdapter;
import org.eclipse.californium.core.coap.Option;
import org.eclipse.californium.core.coap.Request;
import org.eclipse.californium.core.coap.Response;
import org.eclipse.californium.core.coap.Token;
import org.eclipse.californium.core.coap.option.OpaqueOptionDefinition;
import org.eclipse.californium.core.network.CoapEndpoint;
import org.eclipse.californium.elements.util.Bytes;
import org.eclipse.californium.oscore.ContextRederivation;
import org.eclipse.californium.oscore.HashMapCtxDB;
import org.eclipse.californium.oscore.OSCoreCtx;

public final class Client {
    private static final long PATIENCE_MS = 15000;

    private final HashMapCtxDB contexts = new HashMapCtxDB();
    private final Map<String, OSCoreCtx> named = new HashMap<>();
    private final CoapEndpoint endpoint = Peer.endpoint(contexts);
    private Request observation;

    private Client() throws Exception {
        endpoint.start();
        endpoint.addNotificationListener((request, response) -> say("notified " + show(response)));
    }

    private static synchronized void say(String line) {
        System.out.println(line);
    }

    private static String orDash(String text) {
        return text.isEmpty() ? "-" : text;
    }

    private static String show(Response response) {
        return response.getCode().text + " " + orDash(Peer.options(response.getOptions())) + " "
                + orDash(Peer.hex(response.getPayload()));
    }

    private static void set(Request request, String word) {
        String value = word.substring(word.indexOf('=') + 1);
        switch (word.split("=", 2)[0]) {
        case "non":
            request.setType(Type.NON);
            break;
        case "plain":
            request.getOptions().removeOscore();
            break;
        case "payload":
            request.setPayload(Peer.bytes(value));
            break;
        case "size":
            request.setPayload(Peer.pattern(Integer.parseInt(value)));
            break;
        case "token":
            request.setToken(new Token(Peer.bytes(value)));
            break;
        case "option":
            String[] pair = value.split(":", 2);
            OpaqueOptionDefinition definition = new OpaqueOptionDefinition(Integer.parseInt(pair[0]), "given");
            request.getOptions().addOption(new Option(definition, Peer.bytes(pair[1])));
            break;
        default:
            throw new IllegalArgumentException(word);
        }
    }

    private String ask(String[] words) throws Exception {
        Request request = new Request(Code.valueOf(words[1]), Type.CON);
        request.setURI(words[2]);
        request.getOptions().setOscore(Bytes.EMPTY);
        for (int i = 3; i < words.length; i++) {
            set(request, words[i]);
        }
        return answerTo(request);
    }

    private String answerTo(Request request) throws Exception {
        endpoint.sendRequest(request);
        Response response = request.waitForResponse(PATIENCE_MS);
        if (response != null) {
            return "answer " + show(response);
        }
        request.cancel();
        return request.isRejected() ? "failed rejected" : request.isTimedOut() ? "failed timeout" : "failed silence";
    }

    /**
     * The first state arrives as a response, the others through the endpoint's listener: CoapClient would compare them by the
     * inner Observe, which is empty in OSCORE (RFC 8613 4.1.3.5.2).
     */
    private String observe(String uri) {
        observation = Request.newGet();
        observation.setURI(uri);
        observation.getOptions().setOscore(Bytes.EMPTY);
        observation.setObserve();
        observation.addMessageObserver(new MessageObserverAdapter() {
            @Override
            public void onResponse(Response response) {
                say("notified " + show(response));
            }
        });
        endpoint.sendRequest(observation);
        return "observing";
    }

    private String cancel() throws Exception {
        Request request = Request.newGet();
        request.setURI(observation.getURI());
        request.getOptions().setOscore(Bytes.EMPTY);
        request.setToken(observation.getToken());
        request.setObserveCancel();
        endpoint.cancelObservation(observation.getToken());
        return answerTo(request);
    }

    private String ping(String uri) {
        CoapClient client = new CoapClient(uri);
        client.setEndpoint(endpoint);
        return client.ping(PATIENCE_MS) ? "pong" : "failed";
    }

    private String obey(String[] words) throws Exception {
        switch (words[0]) {
        case "context":
            named.put(words[1], Peer.context(words[2]));
            return "ok";
        case "use":
            contexts.addContext(words[2], named.get(words[1]));
            return "ok";
        case "seq":
            named.get(words[1]).setSenderSeq(Integer.parseInt(words[2]));
            return "ok";
        case "lost":
            contexts.getContext(words[1]).setContextRederivationPhase(ContextRederivation.PHASE.CLIENT_INITIATE);
            return "ok";
        case "ask":
            return ask(words);
        case "observe":
            return observe(words[1]);
        case "cancel":
            return cancel();
        case "ping":
            return ping(words[1]);
        default:
            return "failed: no such command";
        }
    }

    public static void main(String[] arguments) throws Exception {
        Client client = new Client();
        BufferedReader input = new BufferedReader(new InputStreamReader(System.in));
        say("ready");
        for (String line = input.readLine(); line != null; line = input.readLine()) {
            try {
                say(client.obey(line.split(" ")));
            } catch (Exception e) {
                say("failed " + e);
            }
        }
        System.exit(0);
    }
}
