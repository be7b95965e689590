// SPDX-License-Identifier: MIT
// Shared by the server and the client: an endpoint with OSCORE, contexts made from words, bytes as hex.

import com.upokecenter.cbor.CBORObject;
import java.net.InetAddress;
import java.net.InetSocketAddress;
import java.util.HashMap;
import java.util.Map;
import org.eclipse.californium.core.coap.Option;
import org.eclipse.californium.core.coap.OptionSet;
import org.eclipse.californium.core.config.CoapConfig;
import org.eclipse.californium.core.network.CoapEndpoint;
import org.eclipse.californium.cose.AlgorithmID;
import org.eclipse.californium.elements.config.Configuration;
import org.eclipse.californium.oscore.HashMapCtxDB;
import org.eclipse.californium.oscore.OSCoreCoapStackFactory;
import org.eclipse.californium.oscore.OSCoreCtx;

final class Peer {
    /** The largest block-wise body. */
    static final int MAX_BODY = 1 << 20;

    private Peer() {
    }

    /** An endpoint on a loopback port that the system picks. */
    static CoapEndpoint endpoint(HashMapCtxDB contexts) {
        CoapConfig.register();
        Configuration config = Configuration.createStandardWithoutFile();
        config.set(CoapConfig.MAX_RESOURCE_BODY_SIZE, MAX_BODY);
        return new CoapEndpoint.Builder()
                .setConfiguration(config)
                .setInetSocketAddress(new InetSocketAddress(InetAddress.getLoopbackAddress(), 0))
                .setCoapStackFactory(new OSCoreCoapStackFactory())
                .setCustomCoapStackArgument(contexts)
                .build();
    }

    /**
     * "key=value,…" as a context: alg (COSE's number), hkdf, secret, salt, sender, recipient, id-context (hex; what is
     * not there is absent), window, silent=yes (the ID Context is not sent), piv=yes (a Partial IV in every answer),
     * renew=yes (Appendix B.2).
     */
    static OSCoreCtx context(String words) throws Exception {
        Map<String, String> said = new HashMap<>();
        for (String word : words.split(",")) {
            String[] pair = word.split("=", 2);
            said.put(pair[0], pair[1]);
        }
        String window = said.get("window");
        OSCoreCtx made = new OSCoreCtx(
                bytes(said.get("secret")), true, algorithm(said.getOrDefault("alg", "10")),
                bytes(said.get("sender")), bytes(said.get("recipient")), algorithm(said.getOrDefault("hkdf", "-10")),
                window == null ? null : Integer.valueOf(window), bytes(said.get("salt")), bytes(said.get("id-context")),
                MAX_BODY);
        if (said.containsKey("id-context")) {
            made.setIncludeContextId(!"yes".equals(said.get("silent")));
        }
        made.setResponsesIncludePartialIV("yes".equals(said.get("piv")));
        made.setContextRederivationEnabled("yes".equals(said.get("renew")));
        return made;
    }

    private static AlgorithmID algorithm(String number) throws Exception {
        return AlgorithmID.FromCBOR(CBORObject.FromObject(Integer.parseInt(number)));
    }

    /** null stays null. */
    static byte[] bytes(String hex) {
        if (hex == null) {
            return null;
        }
        byte[] found = new byte[hex.length() / 2];
        for (int i = 0; i < found.length; i++) {
            found[i] = (byte) Integer.parseInt(hex.substring(2 * i, 2 * i + 2), 16);
        }
        return found;
    }

    static String hex(byte[] bytes) {
        StringBuilder text = new StringBuilder();
        if (bytes != null) {
            for (byte b : bytes) {
                text.append(String.format("%02x", b));
            }
        }
        return text.toString();
    }

    /** "NUMBER:HEX,…" of all options of a message. */
    static String options(OptionSet set) {
        StringBuilder text = new StringBuilder();
        for (Option option : set.asSortedList()) {
            text.append(text.length() > 0 ? "," : "").append(option.getNumber()).append(':').append(hex(option.getValue()));
        }
        return text.toString();
    }

    /** A body in which every block differs. */
    static byte[] pattern(int size) {
        byte[] made = new byte[size];
        for (int i = 0; i < size; i++) {
            made[i] = (byte) ((i + i / 251) % 251);
        }
        return made;
    }
}
