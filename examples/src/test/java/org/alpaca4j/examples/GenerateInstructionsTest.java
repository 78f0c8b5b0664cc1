package org.alpaca4j.examples;

import static org.assertj.core.api.Assertions.assertThat;

import com.sun.net.httpserver.HttpServer;
import java.io.IOException;
import java.net.InetAddress;
import java.net.InetSocketAddress;
import java.nio.charset.StandardCharsets;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.List;
import java.util.concurrent.atomic.AtomicInteger;
import org.assertj.core.api.InstanceOfAssertFactories;
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
  void asksALocalModel() throws IOException {
    CommandRun run = askLocalModel("--prompt_path=" + Files.writeString(folder.resolve("p"), "Go"));

    assertThat(run.exitCode()).as(run.err()).isZero();
    assertThat(Files.readAllLines(folder.resolve("out/replies.jsonl")))
        .hasSize(3)
        .last(InstanceOfAssertFactories.STRING)
        .contains("\"length\"");
  }

  @Test
  void aPromptThatIsTooLongForALocalModelIsRefused() throws IOException {
    CommandRun run = askLocalModel();

    assertThat(run.exitCode()).isEqualTo(ExampleCommand.FAILED);
    assertThat(run.err()).contains("the model takes 1024 with the reply; show fewer seed tasks");
  }

  private CommandRun askLocalModel(String... more) throws IOException {
    Path seeds = folder.resolve("seeds.jsonl");
    Files.writeString(
        seeds,
        "{\"instruction\": \"Say b.\", \"instances\": [{\"input\": \"\", \"output\": \"b\"}]}");
    List<String> arguments = new ArrayList<>();
    arguments.add("--local_model=" + TinyCheckpoint.write(folder.resolve("model")));
    arguments.add("--output_dir=" + folder.resolve("out"));
    arguments.add("--seed_tasks_path=" + seeds);
    arguments.add("--num_prompt_instructions=1");
    arguments.add("--request_batch_size=2");
    arguments.add("--max_tokens=12");
    arguments.add("--max_requests=2");
    arguments.addAll(List.of(more));
    return CommandRun.of(new GenerateInstructions(), arguments.toArray(String[]::new));
  }

  @Test
  void wantsOneModel() {
    assertThat(ExampleCommand.run(new GenerateInstructions())).isEqualTo(ExampleCommand.REFUSED);
  }
}
