package org.alpaca4j.data.selfinstruct;

import com.fasterxml.jackson.databind.JsonNode;
import com.fasterxml.jackson.databind.ObjectMapper;
import com.fasterxml.jackson.databind.node.ObjectNode;
import com.sun.net.httpserver.HttpExchange;
import com.sun.net.httpserver.HttpServer;
import java.io.IOException;
import java.net.InetAddress;
import java.net.InetSocketAddress;
import java.net.URI;
import java.nio.charset.StandardCharsets;
import java.util.List;
import java.util.concurrent.CopyOnWriteArrayList;
import java.util.concurrent.CountDownLatch;
import java.util.concurrent.ExecutorService;
import java.util.concurrent.Executors;

/** A server on this machine that speaks as much of OpenAI's protocol as a test wants. */
final class OpenAiServer implements AutoCloseable {
  static final ObjectMapper JSON = new ObjectMapper();

  /** Answers one exchange. */
  interface Behaviour {
    void answer(HttpExchange exchange, Received received) throws IOException;
  }

  /** A request as it came. */
  record Received(String path, String authorization, JsonNode body) {
    String prompt() {
      return path.endsWith("chat/completions")
          ? body.at("/messages/0/content").textValue()
          : body.get("prompt").textValue();
    }
  }

  final List<Received> received = new CopyOnWriteArrayList<>();
  private final CountDownLatch closing = new CountDownLatch(1);
  private final ExecutorService threads = Executors.newCachedThreadPool();
  private final HttpServer server;

  OpenAiServer(Behaviour behaviour) throws IOException {
    server = HttpServer.create(new InetSocketAddress(InetAddress.getLoopbackAddress(), 0), 0);
    server.setExecutor(threads);
    server.createContext(
        "/v1/",
        exchange -> {
          try (exchange) {
            Received request =
                new Received(
                    exchange.getRequestURI().getPath(),
                    String.valueOf(exchange.getRequestHeaders().getFirst("Authorization")),
                    JSON.readTree(exchange.getRequestBody()));
            received.add(request);
            behaviour.answer(exchange, request);
          }
        });
    server.start();
  }

  URI url() {
    return URI.create("http://127.0.0.1:" + server.getAddress().getPort() + "/v1");
  }

  /** An answer with a text, in the form that the request's path asks for. */
  static void reply(HttpExchange exchange, Received request, String text, String finishReason)
      throws IOException {
    send(exchange, 200, body(request, text, finishReason));
  }

  static String body(Received request, String text, String finishReason) {
    ObjectNode body = JSON.createObjectNode();
    ObjectNode choice = body.putArray("choices").addObject();
    if (request.path().endsWith("chat/completions")) {
      choice.putObject("message").put("role", "assistant").put("content", text);
    } else {
      choice.put("text", text);
    }
    choice.put("finish_reason", finishReason);
    body.putObject("usage").put("prompt_tokens", 100).put("completion_tokens", 10);
    return body.toString();
  }

  static void error(HttpExchange exchange, int status, String message) throws IOException {
    ObjectNode body = JSON.createObjectNode();
    body.putObject("error").put("message", message);
    send(exchange, status, body.toString());
  }

  static void send(HttpExchange exchange, int status, String body) throws IOException {
    byte[] bytes = body.getBytes(StandardCharsets.UTF_8);
    exchange.sendResponseHeaders(status, bytes.length);
    exchange.getResponseBody().write(bytes);
  }

  /** Promises more bytes than come. */
  static void truncated(HttpExchange exchange, String body) throws IOException {
    byte[] bytes = body.getBytes(StandardCharsets.UTF_8);
    exchange.sendResponseHeaders(200, bytes.length);
    exchange.getResponseBody().write(bytes, 0, bytes.length / 2);
    exchange.getResponseBody().flush();
  }

  /** Sends headers and a byte, and nothing more while the server runs. */
  void hang(HttpExchange exchange) throws IOException {
    exchange.sendResponseHeaders(200, 1000);
    exchange.getResponseBody().write('{');
    exchange.getResponseBody().flush();
    try {
      closing.await();
    } catch (InterruptedException e) {
      Thread.currentThread().interrupt();
    }
  }

  @Override
  public void close() {
    closing.countDown();
    server.stop(0);
    threads.shutdownNow();
  }
}
