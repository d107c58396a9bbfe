#!/usr/bin/env python3
"""The same training step as benches/training.rs in PyTorch on the CPU: WRN-16-1, 32x32, batch 128, fp32, SGD with Nesterov.

    python3 -m venv venv && venv/bin/pip install torch && venv/bin/python models/benches/pytorch.py [THREADS]

Prints images per second, forward, backward and step, as the median of ten steps after three.
"""

import statistics
import sys
import time

import torch
from torch import nn
from torch.nn import functional as F

BATCH, CLASSES, FILTERS, SIDE = 128, 10, 64, 8


class Block(nn.Module):
    def __init__(self, channels, out, stride):
        super().__init__()
        self.norm1, self.norm2 = nn.BatchNorm2d(channels), nn.BatchNorm2d(out)
        self.conv1 = nn.Conv2d(channels, out, 3, stride, 1, bias=False)
        self.conv2 = nn.Conv2d(out, out, 3, 1, 1, bias=False)
        self.shortcut = nn.Conv2d(channels, out, 1, stride, bias=False) if channels != out else None

    def forward(self, x):
        y = F.relu(self.norm1(x))
        shortcut = x if self.shortcut is None else self.shortcut(y)
        return shortcut + self.conv2(F.relu(self.norm2(self.conv1(y))))


class Student(nn.Module):
    def __init__(self):
        super().__init__()
        widths = [16, 16, 32, 64]
        blocks = []
        for stage, (channels, out) in enumerate(zip(widths, widths[1:])):
            blocks += [Block(channels, out, 1 if stage == 0 else 2), Block(out, out, 1)]
        self.body = nn.Sequential(nn.Conv2d(3, 16, 3, 1, 1, bias=False), *blocks, nn.BatchNorm2d(64), nn.ReLU())
        self.part = nn.Sequential(nn.Conv2d(64, FILTERS, 1, bias=False), nn.BatchNorm2d(FILTERS), nn.ReLU())
        self.head = nn.Linear(FILTERS, CLASSES)

    def forward(self, x):
        features = self.part(self.body(x))
        return self.head(features.mean((2, 3))), features


def normalised(features):
    flat = features.flatten(1)
    return flat / (flat.square().sum(1, keepdim=True) + 1e-6).sqrt()


def main():
    threads = int(sys.argv[1]) if len(sys.argv) > 1 else torch.get_num_threads()
    torch.set_num_threads(threads)
    torch.manual_seed(0)
    student = Student().to(memory_format=torch.channels_last)
    optimizer = torch.optim.SGD(student.parameters(), 0.1, momentum=0.9, nesterov=True, weight_decay=5e-4)
    images = torch.randn(BATCH, 3, 32, 32).to(memory_format=torch.channels_last)
    labels = torch.randint(CLASSES, (BATCH,))
    teacher, maps = torch.randn(BATCH, CLASSES), torch.rand(BATCH, FILTERS, SIDE, SIDE)
    times = []
    for _ in range(13):
        start = time.perf_counter()
        logits, features = student(images)
        soft = F.kl_div(F.log_softmax(logits / 4, 1), F.softmax(teacher / 4, 1), reduction="batchmean")
        distance = (normalised(features) - normalised(maps)).square().sum() / BATCH
        loss = 0.1 * F.cross_entropy(logits, labels) + 0.9 * 16 * soft + 50 * distance
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        times.append(time.perf_counter() - start)
    step = statistics.median(times[3:])
    print(f"PyTorch {torch.__version__}, {threads} threads: {BATCH / step:.0f} student-images/s")


if __name__ == "__main__":
    main()
