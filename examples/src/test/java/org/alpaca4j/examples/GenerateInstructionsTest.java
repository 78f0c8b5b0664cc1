package org.alpaca4j.examples;

import static org.assertj.core.api.Assertions.assertThat;

import com.sun.net.httpserver.HttpServer;
import java.net.InetAddress;
import java.net.InetSocketAddress;
import java.nio.charset.StandardCharsets;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.concurrent.atomic.AtomicInteger;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;

class GenerateInstructionsTest {
  @TempDir Path folder;

  @Test
  void takesTheOriginalsCommandLine() throws Exception {
    Path seeds = folder.resolve("seed_tasks.jsonl");
    String seed =
        "{\"instruction\": \"%s\", \"instances\": [{\"input\": \"\", \"output\": \"b\"}]}\n";
    Files.writeString(seeds, seed.formatted("Name a colour.") + seed.formatted("Count to ten."));
    AtomicInteger requests = new AtomicInteger();
    HttpServer server =
        HttpServer.create(new InetSocketAddress(InetAddress.getLoopbackAddress(), 0), 0);
    server.createContext(
        "/v1/completions",
        exchange -> {
          String word = "w" + requests.incrementAndGet();
          String body =
              ("{\"choices\": [{\"finish_reason\": \"stop\", \"text\": \" Explain W W W W to me."
                      + "\\n2. Input:\\n<noinput>\\n2. Output:\\nNo.\\n\"}]}")
                  .replace("W", word);
          byte[] bytes = body.getBytes(StandardCharsets.UTF_8);
          exchange.sendResponseHeaders(200, bytes.length);
          exchange.getResponseBody().write(bytes);
          exchange.close();
        });
    server.start();
    try {
      int exit =
          ExampleCommand.run(
              new GenerateInstructions(),
              "generate_instruction_following_data",
              "--output_dir=" + folder.resolve("out"),
              "--seed_tasks_path=" + seeds,
              "--num_instructions_to_generate=4",
              "--model_name=text-davinci-003",
              "--num_prompt_instructions=1",
              "--request_batch_size=2",
              "--temperature=1.0",
              "--top_p=1.0",
              "--num_cpus=16",
              "--api=completions",
              "--base_url=http://127.0.0.1:" + server.getAddress().getPort() + "/v1");
      assertThat(exit).isEqualTo(ExampleCommand.DONE);
    } finally {
      server.stop(0);
    }
    assertThat(requests).hasValue(4);
    assertThat(folder.resolve("out").resolve("regen.json")).content().contains("Explain w4 w4");
  }

  @Test
  void wantsOneModel() {
    assertThat(ExampleCommand.run(new GenerateInstructions())).isEqualTo(ExampleCommand.REFUSED);
  }
}
